"""The pieces show one person. The page links by the digits 1 to 9."""

from lpw_toolkit.cleaning.operation import MAX_TRACKLETS, Operation, Role

OPERATION = Operation("linked", Role.SAME, n_tracklets=(2, MAX_TRACKLETS))
