"""The child's side of the image transfer: JSON lines out, images into a ring of slots in shared
memory."""

import json
import mmap
import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

USED_UP = b"u"  # parent to child: the oldest image handed out may be overwritten
ENLARGED = b"e"  # parent to child: the shared memory has the size that was asked for

MAX_SIDE_PX = 16384
MAX_PIXELS = 1 << 26  # 67 MP: twice 8K video; one image more than this is an attack or a mistake
MAX_SLOT_BYTES = 3 * MAX_PIXELS
_RING_BYTES = 96 << 20


def n_slots(slot_bytes: int) -> int:
    """Images in the ring: as many as fit in 96 MiB, at least 3 and at most 8."""
    return max(3, min(8, _RING_BYTES // slot_bytes))


class Ring:
    """Sends messages and images to the parent; waits while every slot is in use.

    Args:
        descriptor: the shared memory.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None
        self._slot_bytes = 0
        self._next = 0
        self._n_in_use = 0

    def send(self, *message: Any) -> None:
        """Sends one message. The end of the parent ends this process."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            sys.exit(0)

    def put(self, picture: NDArray[np.uint8]) -> int:
        """Copies an (H, W, 3) image into the next slot and returns its number."""
        if picture.nbytes > self._slot_bytes:
            self._enlarge(picture.nbytes)
        while self._n_in_use >= n_slots(self._slot_bytes):
            self._wait()
        if self._memory is None:
            raise RuntimeError("a ring without memory")
        slot = self._next
        view = np.frombuffer(self._memory, np.uint8, picture.nbytes, slot * self._slot_bytes)
        np.copyto(view.reshape(picture.shape), picture)
        self._next = (slot + 1) % n_slots(self._slot_bytes)
        self._n_in_use += 1
        return slot

    def _enlarge(self, slot_bytes: int) -> None:
        while self._n_in_use:
            self._wait()
        self.send("enlarge", slot_bytes)
        self._memory = None
        self._slot_bytes = slot_bytes
        self._next = 0
        self._wait()
        self._memory = mmap.mmap(self._descriptor, slot_bytes * n_slots(slot_bytes))

    def _wait(self) -> None:
        data = os.read(0, 64)
        if not data:
            sys.exit(0)
        self._n_in_use -= data.count(USED_UP)
