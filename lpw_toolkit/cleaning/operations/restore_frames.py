"""Frames of a piece that were dropped are kept again."""

from lpw_toolkit.cleaning.field import Ranges
from lpw_toolkit.cleaning.operation import Operation, Role

_FRAMES = Ranges(
    description="Half-open ranges of positions in the tracklet as it was built, ascending, apart "
    "from each other."
)
OPERATION = Operation(
    "frames restored",
    Role.RESTORE,
    n_tracklets=(1, 1),
    arguments={"frames": _FRAMES},
)
