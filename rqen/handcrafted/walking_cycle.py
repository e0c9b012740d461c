"""Walking cycles of a tracklet, from the energy of the optical flow around the legs.

    frames -> flow energy profile -> sinusoid of a step's rate -> minima and maxima -> cycles

Legs are apart where the profile is lowest and pass each other where it is highest.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import filtfilt

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Starts = Literal["minima", "all"]

#: Steps of a walker per second: twice the rate of strides.
STEP_BAND_HZ = (1.5, 3.0)
#: Rate of a dataset without frame times, as released.
RELEASED_RATE_HZ = 30.0
#: Five taps of a Gaussian with sigma 1, applied forwards and backwards.
_GAUSSIAN = np.exp(-0.5 * np.arange(-2, 3) ** 2.0)
_GAUSSIAN /= _GAUSSIAN.sum()


@dataclass(frozen=True)
class WalkingCycle:
    """A step: from one moment with legs apart to the next.

    Attributes:
        landmarks: frames of its first end, its middle and its last end (not in the cycle).
        sign: 1 where it begins at a minimum of the profile, -1 at a maximum.
        score: correlation of the profile with its sinusoid within the cycle; 0 where there is none.
        whole: whether it is a whole tracklet in which no cycle was found; its sign is 1.
    """

    landmarks: tuple[int, int, int]
    sign: int
    score: float = 0.0
    whole: bool = False

    @property
    def start(self) -> int:
        """First frame."""
        return self.landmarks[0]

    @property
    def stop(self) -> int:
        """Frame after the last one."""
        return self.landmarks[2]


def measure_flow_energy(frames: NDArray[np.uint8]) -> Floats:
    """The flow energy profile (T - 1,): the sum of squared horizontal flow over the lower half of
    frames (T, H, W, 3) RGB, from each to the next.

    The flow is Farneback's, where the released code has Liu's.

    >>> measure_flow_energy(np.zeros((3, 128, 64, 3), np.uint8)).tolist()
    [0.0, 0.0]
    """
    legs = [cv2.cvtColor(frame[len(frame) // 2 :], cv2.COLOR_RGB2GRAY) for frame in frames]
    flows = [
        cv2.calcOpticalFlowFarneback(
            one, other, None, pyr_scale=0.5, levels=3, winsize=9, iterations=3, poly_n=5,
            poly_sigma=1.1, flags=0,
        )
        for one, other in pairwise(legs)
    ]  # fmt: skip
    return np.array([np.square(flow[..., 0], dtype=np.float64).sum() for flow in flows])


def smooth_profile(energy: Floats) -> Floats:
    """The profile (N,) after a zero-phase Gaussian of 5 taps; one value stays as it is."""
    if len(energy) < 2:
        return energy
    return np.asarray(filtfilt(_GAUSSIAN, [1.0], energy, padlen=min(12, len(energy) - 1)))


def fit_sinusoid(profile: Floats, rate_hz: float) -> Floats:
    """The strongest sinusoid (N,) of a step's frequency in the profile (N,), around its mean.

    Bins of the Fourier transform from 1.5 to 3 Hz are compared, up to the first one beyond; a
    profile that is too short for one of them gets its longest period.

    Source: vsislab/stfv3d:walkingCycle (facts only).

    >>> wave = np.cos(2 * np.pi * 2 * np.arange(60) / 30)
    >>> bool(np.allclose(fit_sinusoid(5 + wave, 30), 5 + wave))
    True
    """
    n = len(profile)
    if n < 3:
        return np.full(n, profile.mean()) if n else profile
    spectrum = np.fft.rfft(profile)
    low, high = (int(np.ceil(frequency * n / rate_hz)) for frequency in STEP_BAND_HZ)
    last = max(1, (n - 1) // 2)
    low, high = min(max(low, 1), last), min(max(high, 1), last)
    strongest = low + int(np.abs(spectrum[low : high + 1]).argmax())
    kept = np.zeros_like(spectrum)
    kept[[0, strongest]] = spectrum[[0, strongest]]
    return np.asarray(np.fft.irfft(kept, n))


def find_extrema(sinusoid: Floats) -> tuple[Ints, Ints]:
    """Places of the inner minima and maxima of a sinusoid (N,); of two equal neighbours the
    first.

    >>> [places.tolist() for places in find_extrema(np.array([1.0, 0, 1, 2, 2, 1]))]
    [[1], [3]]
    """
    before, middle, after = sinusoid[:-2], sinusoid[1:-1], sinusoid[2:]
    minima = np.flatnonzero((before > middle) & (middle <= after)) + 1
    maxima = np.flatnonzero((before < middle) & (middle >= after)) + 1
    return minima, maxima


def find_cycles(
    energy: Floats, rate_hz: float, *, starts: Starts = "minima", min_score: float = -1.0
) -> list[WalkingCycle]:
    """All cycles in a flow energy profile (N,), in order of time; none where it is too short.

    Args:
        rate_hz: frames per second.
        starts: `minima` as released: from a minimum over a maximum to a minimum, one cycle after
            another; `all`: from every minimum and every maximum, so that cycles overlap and have
            two signs.
        min_score: cycles with a lower correlation are left out; -1, as released, keeps all.
    """
    profile = smooth_profile(energy)
    sinusoid = fit_sinusoid(profile, rate_hz)
    minima, maxima = find_extrema(sinusoid)
    signs = dict.fromkeys(minima.tolist(), 1) | dict.fromkeys(maxima.tolist(), -1)
    places = sorted(signs)
    cycles = []
    for landmarks in zip(places, places[1:], places[2:], strict=False):
        first, middle, last = landmarks
        sign = signs[first]
        if signs[middle] == sign or signs[last] != sign or (starts == "minima" and sign < 0):
            continue
        within = slice(first, last + 1)
        score = _correlate(profile[within], sinusoid[within])
        if score >= min_score:
            cycles.append(WalkingCycle((first, middle, last), sign, score))
    return cycles


def take_whole(n_frames: int) -> WalkingCycle:
    """A tracklet without a cycle as one cycle."""
    return WalkingCycle((0, n_frames // 2, n_frames), 1, whole=True)


def _correlate(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    length = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / length if length > 0 else 0.0
