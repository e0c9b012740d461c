"""A piece becomes two: they show different people."""

from lpw_toolkit.cleaning.field import Position
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

OPERATION = Operation(
    "split",
    Role.CUT,
    n_tracklets=(1, 1),
    arguments={"at": Position(1, description="Position of the first frame of the later part.")},
    page=PageKey("s", "split"),
)
