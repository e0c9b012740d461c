"""Keeps memory that PyTorch has freed in this process, for faster steps on CPUs."""

import ctypes

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of mallopt, malloc.h
_LARGEST = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Lets the C library keep large freed buffers instead of returning them to the system; whether
    it does so.

    Every step of training on a processor frees buffers of many megabytes and asks for the same ones
    again. By default glibc maps each anew, and the system fills it with zeros page by page. Both
    thresholds are needed: without the first such a buffer never comes from the heap, without the
    second the heap is cut back at its end. Elsewhere than on glibc nothing happens. The process
    then stays as large as it has ever been.

    Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
