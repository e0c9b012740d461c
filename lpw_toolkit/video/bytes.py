"""Detects truncated video files: compares the length of a file with the length that its structure
declares.

Only sizes of outermost elements are read, a few bytes each, and the heads of transport packets.
Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and 9559 (EBML, Matroska), Microsoft AVI RIFF and
OpenDML, ISO/IEC 13818-1 (188-byte packets), Microsoft ASF 3.2, Adobe Flash Video File Format 10.1
annex E.
"""

import os

import numpy as np

_SYNC = 0x47
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_PACKETS = {188: 0, 192: 4, 204: 0}
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MAX_ELEMENTS = 100_000
_PACKETS_AT_ONCE = 1 << 16


def find_missing_bytes(descriptor: int) -> str | None:
    """What the structure of the file says is missing, in words; None where nothing is, or where
    it cannot be known."""
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, 16, 0)
    end: int | None = None
    if head[4:8] in _BOXES:
        end = _end_of_boxes(descriptor, size)
    elif int.from_bytes(head[:4]) == _EBML:
        end = _end_of_matroska(descriptor)
    elif head[:4] == b"RIFF":
        end = _end_of_riff(descriptor, size)
    elif head == _ASF_HEADER:
        end = _end_of_asf(descriptor)
    elif head[:3] == b"FLV":
        return _check_last_flv_tag(descriptor, size)
    else:
        return _check_transport_packets(descriptor, size)
    return None if end is None or end <= size else f"the file ends {end - size} bytes early"


def _end_of_boxes(descriptor: int, size: int) -> int | None:
    position = 0
    for _ in range(_MAX_ELEMENTS):
        header = os.pread(descriptor, 16, position)
        if position >= size or len(header) < 8:
            return position
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8:  # 0: up to the end of the file; 2-7: no box
            return None
        position += length
    return None


def _end_of_matroska(descriptor: int) -> int | None:
    head = os.pread(descriptor, 4096, 0)
    position, length = 4, 0
    length, position = _read_vint(head, position)
    position += length
    if int.from_bytes(head[position : position + 4]) != _SEGMENT:
        return None
    width = position + 4
    length, position = _read_vint(head, width)
    unknown = (1 << 7 * (position - width)) - 1
    return None if length == unknown else position + length


def _read_vint(data: bytes, position: int) -> tuple[int, int]:
    """(value, position behind it) of an EBML variable-length integer; (0, position + 1) where there
    is none."""
    if position >= len(data) or data[position] == 0:
        return 0, position + 1
    width = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + width]) & ((1 << 7 * width) - 1)
    return value, position + width


def _end_of_riff(descriptor: int, size: int) -> int | None:
    position = 0
    for _ in range(_MAX_ELEMENTS):
        header = os.pread(descriptor, 8, position)
        if header[:4] != b"RIFF" or len(header) < 8:
            return position
        length = int.from_bytes(header[4:8], "little")
        if length == 0:  # never finished by its writer
            return None
        position += 8 + length + length % 2
        if length % 2 and position == size + 1:
            return size  # writers forget the last padding byte
    return None


def _end_of_asf(descriptor: int) -> int | None:
    head = os.pread(descriptor, 1 << 16, 0)
    position = head.find(_ASF_FILE_PROPERTIES)
    return (
        None
        if position < 0
        else int.from_bytes(head[position + 40 : position + 48], "little") or None
    )


def _check_last_flv_tag(descriptor: int, size: int) -> str | None:
    length = int.from_bytes(os.pread(descriptor, 4, size - 4))
    start = size - 4 - length
    if (
        length >= 11
        and start >= 13
        and int.from_bytes(os.pread(descriptor, 3, start + 1)) == length - 11
    ):
        return None
    return "the last tag is cut"


def _check_transport_packets(descriptor: int, size: int) -> str | None:
    head = os.pread(descriptor, 204 * 5, 0)
    for length, offset in _PACKETS.items():
        marks = head[offset::length]
        if len(marks) >= 4 and set(marks) == {_SYNC}:
            n_bad = _count_bad_packets(descriptor, size, length, offset)
            cut = (
                [f"the last packet has {size % length} of {length} bytes"] if size % length else []
            )
            bad = [f"{n_bad} of {size // length} transport packets are damaged"] if n_bad else []
            return "; ".join(cut + bad) or None
    return None


def _count_bad_packets(descriptor: int, size: int, length: int, offset: int) -> int:
    """Packets without their sync byte or with the error bit set: a hole that the demuxer steps over
    in silence."""
    n_bad = 0
    for start in range(0, size - length + 1, length * _PACKETS_AT_ONCE):
        data = np.frombuffer(os.pread(descriptor, length * _PACKETS_AT_ONCE, start), np.uint8)
        packets = data[: len(data) // length * length].reshape(-1, length)
        n_bad += int(
            np.count_nonzero((packets[:, offset] != _SYNC) | (packets[:, offset + 1] & 0x80 != 0))
        )
    return n_bad
