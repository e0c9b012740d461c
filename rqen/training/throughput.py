"""Measures the throughput of a run, and the share of time spent waiting for images."""

import time
from collections.abc import Iterable, Iterator

from rqen.data.batches import Batch


class Throughput:
    """Counts images, and the seconds spent waiting for them, since it was started."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Counts anew."""
        self._since, self._waited_s, self._n_images = time.perf_counter(), 0.0, 0

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, one by one; the time until each is there counts as waiting."""
        source = iter(batches)
        while True:
            start = time.perf_counter()
            batch = next(source, None)
            if batch is None:
                return
            self._waited_s += time.perf_counter() - start
            self._n_images += batch.images.shape[0] * batch.images.shape[1]
            yield batch

    @property
    def images_per_s(self) -> float:
        """Images of this process per second."""
        return self._n_images / max(time.perf_counter() - self._since, 1e-9)

    def read(self) -> dict[str, float]:
        """`images_per_s`, and `wait`: the share (0-1) of the time that was spent waiting."""
        passed_s = max(time.perf_counter() - self._since, 1e-9)
        return {
            "images_per_s": round(self.images_per_s, 1),
            "wait": round(self._waited_s / passed_s, 4),
        }
