"""Body-action units: six parts of the body in four phases of a walking cycle."""

import numpy as np
from numpy.typing import NDArray

from rqen.handcrafted.frames import SIZE_PX
from rqen.handcrafted.walking_cycle import WalkingCycle

Ints = NDArray[np.int64]

PARTS = ("head", "left arm", "torso", "right arm", "left leg", "right leg")
N_PRIMITIVES = 4
N_UNITS = len(PARTS) * N_PRIMITIVES
#: Left, top, right, bottom in pixels of 64 x 128, half-open, with legs apart and legs together.
#: Source: vsislab/stfv3d:mainStep/my_0_5_getBBox_test.m, which counts from 1 and includes the end.
APART = np.array(
    [[22, 3, 43, 24], [5, 23, 33, 70], [19, 23, 46, 70], [32, 23, 59, 70], [5, 70, 32, 124],
     [32, 70, 59, 124]]
)  # fmt: skip
TOGETHER = np.array([*APART[:4], [19, 70, 46, 124], [19, 70, 46, 124]])


def place_parts(cycle: WalkingCycle) -> Ints:
    """Boxes (T, 6, 4) of the parts in each frame of the cycle, in pixels of 64 x 128, half-open.

    Legs are apart at the ends of a cycle that begins at a minimum of the profile and together in
    its middle, the other way round where it begins at a maximum, and linear in between. In a whole
    tracklet they are apart.
    """
    ends, middle = (APART, TOGETHER) if cycle.sign > 0 else (TOGETHER, APART)
    middle = APART if cycle.whole else middle
    first, half, last = cycle.landmarks
    frames = np.arange(first, last)
    share = np.interp(frames, [first, half, last], [0.0, 1.0, 0.0])[:, None, None]
    boxes = np.floor(ends * (1 - share) + middle * share).astype(np.int64)
    return np.clip(boxes, 0, [SIZE_PX[1], SIZE_PX[0]] * 2)


def cut_primitives(cycle: WalkingCycle) -> list[slice]:
    """The frames of the four action primitives, counted from the start of the cycle: each half is
    cut in its middle. Where there are too few frames, some are in two of them.

    >>> cut_primitives(WalkingCycle((10, 15, 21), 1))
    [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None), slice(8, 11, None)]
    """
    first, half, last = cycle.landmarks
    cuts = [first, (first + half) // 2, half, (half + last) // 2, last]
    starts = np.minimum(np.array(cuts[:-1]), last - 1) - first
    return [
        slice(int(a), int(max(b - first, a + 1))) for a, b in zip(starts, cuts[1:], strict=True)
    ]
