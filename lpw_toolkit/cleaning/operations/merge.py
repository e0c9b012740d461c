"""Pieces of one camera become one tracklet."""

from lpw_toolkit.cleaning.operation import MAX_TRACKLETS, Operation, PageKey, Role

OPERATION = Operation(
    "merged", Role.JOIN, n_tracklets=(2, MAX_TRACKLETS), page=PageKey("m", "merge with 1–9")
)
