"""The first piece shows another person than each of the others."""

from lpw_toolkit.cleaning.operation import MAX_TRACKLETS, Operation, PageKey, Role

OPERATION = Operation(
    "different persons",
    Role.DIFFERENT,
    n_tracklets=(2, MAX_TRACKLETS),
    page=PageKey("-", "another person than 1–9"),
)
