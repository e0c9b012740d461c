"""How long a command will take and what it will write, from a short trial before it starts."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

Clock = Callable[[], float]
#: Work that takes less is begun without a word.
SHORT_S = 60.0
_N_STEPS, _TRIAL_S = 3, 5.0
_TIMES = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
_SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes"))


@dataclass(frozen=True)
class Estimate:
    """What is known of a piece of work before it starts.

    Attributes:
        work: its name, such as `train`.
        seconds: that it will take.
        n_files: that it will write.
        n_bytes: of all of them.
        basis: what was tried, in a few words.
    """

    work: str
    seconds: float
    n_files: int
    n_bytes: int
    basis: str

    @property
    def is_short(self) -> bool:
        """Whether it is over before anybody asks."""
        return self.seconds < SHORT_S

    def describe(self) -> str:
        """One line for people.

        >>> Estimate("train", 5_400, 6, 61_000_000, "a trial of 3 steps").describe()
        'train: about 1.5 h; writes about 6 files, 61 MB (from a trial of 3 steps)'
        """
        files = f"{self.n_files:,} file{'s' if self.n_files != 1 else ''}"
        time_, size = describe_seconds(self.seconds), describe_bytes(self.n_bytes)
        written = f"; writes about {files}, {size}" if self.n_files else ""
        return f"{self.work}: about {time_}{written} (from {self.basis})"

    def fields(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | {"seconds": round(self.seconds, 1)}


#: Gets the estimate after the trial and before anything is written; may end the work there.
Announce = Callable[[Estimate], None]


def describe_seconds(seconds: float) -> str:
    """A time in the unit that people would use.

    >>> describe_seconds(130), describe_seconds(86_400 * 1.25)
    ('2.2 min', '30 h')
    """
    if seconds < 86_400 * 2:
        return _in_units(seconds, _TIMES[1:])
    return _in_units(seconds, _TIMES)


def describe_bytes(n_bytes: float) -> str:
    """A size in the unit that people would use.

    >>> describe_bytes(12_600_000)
    '13 MB'
    """
    return _in_units(n_bytes, _SIZES)


def _in_units(value: float, units: tuple[tuple[int, str], ...]) -> str:
    size, name = next((unit for unit in units if value >= unit[0]), units[-1])
    number = value / size
    return f"{number:.1f} {name}" if 1 < number < 9.95 and size > 1 else f"{number:.0f} {name}"


def time_steps(
    step: Callable[[], object], n_steps: float, clock: Clock = time.perf_counter
) -> float:
    """Seconds that `n_steps` calls of `step` will take, from a few of them.

    The first one warms up. Where the whole is short even at its pace, no other is made; else up to
    three more.
    """
    first = _time(step, clock)
    if first * n_steps < SHORT_S:
        return first * n_steps
    times: list[float] = []
    while len(times) < _N_STEPS and sum(times) < _TRIAL_S:
        times.append(_time(step, clock))
    return first + n_steps * sum(times) / len(times)


def _time(step: Callable[[], object], clock: Clock) -> float:
    begin = clock()
    step()
    return clock() - begin
