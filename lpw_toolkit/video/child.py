"""The decoding process: `python -m lpw_toolkit.video.child ORDER`, started only by `video.process`.

It opens no file by name (the parent hands over a descriptor; of an image sequence it opens the
images), can write no file, and is bounded in memory. It ends when its parent ends, however that
happens.
"""

import errno
import json
import os
import resource
import select
import signal
import sys
import threading
import traceback
from typing import Any

from lpw_toolkit.errors import LpwError
from lpw_toolkit.video.ring import MAX_SLOT_BYTES, Ring
from lpw_toolkit.video.timeline import Judge

#: Address space: a decoder's reference images at 8K, the ring at its largest, and the libraries.
MEMORY_BYTES = (4 << 30) + 3 * MAX_SLOT_BYTES


def main() -> None:
    """Carries out the order in the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.argv[1])
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    ring = Ring(order["ring"])
    try:
        _carry_out(order, ring)
    except LpwError as error:
        ring.send("refused", error.got, error.expected, error.hint)
    except Exception as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            ring.send("died", "the decoder ran out of the memory it may use")
        else:
            ring.send("bug", traceback.format_exc())


def _carry_out(order: dict[str, Any], ring: Ring) -> None:
    judge = Judge(ring.send)
    if order.get("ranges"):
        from lpw_toolkit.video.ranges import deliver_ranges

        _limit_resources()
        deliver_ranges(order, ring)
    elif order["source"] is None:
        from lpw_toolkit.video.images import deliver_images

        _limit_resources()
        deliver_images(order, ring, judge)
    else:
        from lpw_toolkit.video.decode import deliver_video

        _limit_resources()
        deliver_video(order, ring, judge)


def _limit_resources() -> None:
    """After the imports: no core dump, no file written, few descriptors, bounded memory."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_AS: MEMORY_BYTES,
    }
    for name, limit in limits.items():
        _, hard = resource.getrlimit(name)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(name, (limit, limit))


def _end_with_parent(parent: int) -> None:
    """Ends this process when standard input closes, or when the parent is gone but a fork of it
    holds the pipe."""
    poll = select.poll()
    poll.register(0, 0)  # 0: only the hang-up; the bytes are for the main thread
    while not poll.poll(500):
        if os.getppid() != parent:
            break
    os._exit(0)


if __name__ == "__main__":
    main()
