"""The parent's side of the decoding process: start, messages, the ring of images in shared memory,
end.

Messages are JSON lines on the child's standard output. Standard input carries single bytes back:
one for each image that was used up, one when the ring was enlarged; its end tells the child to
go. The parent alone sizes the shared memory (the child runs with a file size limit of 0) and seals
it against shrinking, so that no child can make the parent touch memory that is gone.
"""

import fcntl
import json
import mmap
import os
import select
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.video.ring import ENLARGED, MAX_SLOT_BYTES, USED_UP, n_slots

_MAX_MESSAGE_BYTES = 1 << 20
_PACKAGE_ROOT = Path(__file__).resolve().parents[1]


class ChildDiedError(Exception):
    """The decoding process is gone, silent, or sending invalid messages; the text says which."""


class DecodingProcess:
    """A running `lpw_toolkit.video.child`.

    Args:
        order: what to do, as JSON.
        source: descriptor of the video file, inherited by the child; it never opens a file by name.
        stall_s: seconds without a message after which the child counts as hung.
        inherited: further descriptors that the child gets.
    """

    def __init__(
        self,
        order: dict[str, Any],
        source: int | None,
        stall_s: float,
        inherited: Sequence[int] = (),
    ) -> None:
        self._stall_s = stall_s
        self._lines: list[bytes] = []
        self._partial = b""
        self._pictures: mmap.mmap | None = None
        self._slot_bytes = 0
        self._slot_in_use = False
        ring = _make_shared_file()
        try:
            self._child = _spawn(
                {**order, "source": source, "ring": ring},
                [ring, *([] if source is None else [source]), *inherited],
            )
        except BaseException:
            os.close(ring)
            raise
        self._ring = ring
        self._end = weakref.finalize(self, _end_child, self._child, ring)

    def receive(self) -> list[Any]:
        """The next message; frees the slot of the image handed out before. Errors:
        ChildDiedError."""
        if self._slot_in_use:
            self._slot_in_use = False
            self._send(USED_UP)
        while True:
            message = self._next_message()
            if message[0] != "enlarge":
                return message
            self._enlarge(message[1])

    def picture(self, slot: int, width: int, height: int) -> NDArray[np.uint8]:
        """The (height, width, 3) image in `slot`, until the next message is asked for."""
        n_bytes = width * height * 3
        if (
            self._pictures is None
            or n_bytes > self._slot_bytes
            or not 0 <= slot < n_slots(self._slot_bytes)
        ):
            raise ValueError(f"slot {slot} cannot hold {width}x{height}")
        self._slot_in_use = True
        flat = np.frombuffer(self._pictures, np.uint8, n_bytes, slot * self._slot_bytes)
        return flat.reshape(height, width, 3)

    def close(self) -> None:
        """Ends the child if it still runs, and closes every descriptor."""
        self._slot_in_use = False
        self._pictures = None
        self._end()

    def _send(self, byte: bytes) -> None:
        if self._child.stdin is not None and not self._child.stdin.closed:
            try:
                os.write(self._child.stdin.fileno(), byte)
            except BrokenPipeError:
                return  # the child is gone; reading its output tells how

    def _enlarge(self, slot_bytes: int) -> None:
        if not 0 < slot_bytes <= MAX_SLOT_BYTES:
            raise ChildDiedError(f"the decoding process asked for pictures of {slot_bytes} bytes")
        total = slot_bytes * n_slots(slot_bytes)
        os.ftruncate(self._ring, total)
        self._pictures = mmap.mmap(self._ring, total)
        self._slot_bytes = slot_bytes
        self._send(ENLARGED)

    def _next_message(self) -> list[Any]:
        while not self._lines:
            self._read_more()
        try:
            message = json.loads(self._lines.pop(0))
        except ValueError as error:
            raise ChildDiedError("the decoding process sent nonsense") from error
        if not isinstance(message, list) or not message:
            raise ChildDiedError("the decoding process sent nonsense")
        return message

    def _read_more(self) -> None:
        output = self._child.stdout
        if output is None or output.closed:
            raise ChildDiedError("the decoding process was closed")
        if not _wait_readable(output, self._stall_s):
            self._child.kill()
            raise ChildDiedError(f"the decoder gave no sign of life for {self._stall_s:g} s")
        data = os.read(output.fileno(), 1 << 16)
        if not data:
            raise ChildDiedError(_describe_end(self._child))
        *self._lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_MESSAGE_BYTES:
            raise ChildDiedError("the decoding process sent a message without end")


def _spawn(order: dict[str, Any], descriptors: list[int]) -> subprocess.Popen[bytes]:
    """Starts the child in a process group of its own: Ctrl-C at a terminal reaches the parent
    alone."""
    path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "lpw_toolkit.video.child", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        pass_fds=descriptors,
        env={**os.environ, **threads, "PYTHONPATH": path},
        process_group=0,
    )


def _make_shared_file() -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("lpw-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        return descriptor
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _wait_readable(output: IO[bytes], timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    poll = select.poll()
    poll.register(output, select.POLLIN)
    while (rest_s := deadline_s - time.monotonic()) > 0:
        if poll.poll(rest_s * 1000):
            return True
    return False


def _describe_end(child: subprocess.Popen[bytes]) -> str:
    try:
        code = child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "the decoding process closed its output"
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the decoding process {how}"


def _end_child(child: subprocess.Popen[bytes], ring: int) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    child.wait()
    os.close(ring)
