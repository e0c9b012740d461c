"""Frames of a piece are left out."""

from lpw_toolkit.cleaning.field import Ranges
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

_FRAMES = Ranges(
    description="Half-open ranges of positions in the tracklet as it was built, ascending, apart "
    "from each other."
)
OPERATION = Operation(
    "frames dropped",
    Role.DROP,
    n_tracklets=(1, 1),
    arguments={"frames": _FRAMES},
    page=PageKey("d", "drop or restore the chosen frames"),
)
