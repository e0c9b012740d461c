"""Computes what a PyTorch file would take to load, without loading it: its storages and their
tensors.

A file of a few bytes may ask for any amount of memory: members that unpack, storages and tensors
larger than what is there, constructors with large arguments. Whatever `torch.save` does not write
is refused here, before torch reads it.

    zip, or the older stream --list members, stored and apart--> pickle --walk, nothing built-->
    claims <= bytes there
"""

import io
import pickle
import struct
from collections.abc import Iterator
from typing import NamedTuple

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.networks.pickle_walk import RefusedPickleError, follow_pickle, read_plain
from lpw_toolkit.networks.weights import WeightsFile

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the stream that torch wrote before 1.6
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
# What the reading of a damaged pickle or archive raises.
_DAMAGES = (
    *(
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        RecursionError,
        MemoryError,
    ),
    *(struct.error, pickle.UnpicklingError),
)


class ZipMember(NamedTuple):
    """One stored member: its name and place in the file, in bytes."""

    name: str
    start: int
    n_bytes: int


def check_torch(file: WeightsFile, expected: str, do: str, *, modules: bool) -> None:
    """Checks that loading the file takes the memory of its own bytes, and builds tensors by
    name.

    Args:
        expected, do: of the error.
        modules: whether networks of `torch.nn` and `ultralytics` may be in it too (they are not
            built here).

    Errors: LpwError for anything else.
    """
    try:
        if file.data[:4] == _LOCAL:
            _check_archive(file.data, modules=modules)
        elif modules:
            raise RefusedPickleError(
                "a file that is no checkpoint in torch's zip format (a bare pickle, a tar, or "
                "damaged)"
            )
        else:
            _check_stream(file.data)
    except RefusedPickleError as error:
        raise LpwError(file.path, f"{error}", expected, do) from error
    except _DAMAGES as error:
        raise LpwError(file.path, "a damaged file", expected, do) from error


def _check_archive(data: bytes, *, modules: bool) -> None:
    members = {member.name: member for member in list_members(data)}
    tops = {name.partition("/")[0] for name in members}
    if len(tops) != 1:
        raise RefusedPickleError("an archive of several folders")
    (top,) = tops
    if f"{top}/constants.pkl" in members or f"{top}/data.pkl" not in members:
        raise RefusedPickleError("a TorchScript or foreign archive")
    pickled = members[f"{top}/data.pkl"]
    if pickled.n_bytes > limit("pickle_bytes"):
        got = f"a structure of {pickled.n_bytes} bytes"
        raise RefusedPickleError(explain_limit("pickle_bytes", got))
    stream = io.BytesIO(data[pickled.start : pickled.start + pickled.n_bytes])
    for key, n_bytes in follow_pickle(stream, modules=modules).items():
        member = members.get(f"{top}/data/{key}")
        if member is None:
            raise RefusedPickleError("a damaged file")
        if n_bytes != member.n_bytes:
            raise RefusedPickleError("numbers that are not in the file")


def list_members(data: bytes) -> list[ZipMember]:
    """The members of a zip as torch writes it: stored as they are, apart from each other, each name
    once.

    Errors: RefusedPickleError for any other zip, ValueError, IndexError or struct.error for a
    damaged one.
    """
    count, size, start = _find_directory(data)
    if count > limit("weights_members"):
        raise RefusedPickleError(explain_limit("weights_members", f"{count} members"))
    members = list(_iter_members(data, start, start + size))
    if len(members) != count or len({member.name for member in members}) != count:
        raise RefusedPickleError("an archive whose list of members is false")
    end = 0
    for member in sorted(members, key=lambda member: member.start):
        if member.start < end:
            raise RefusedPickleError("an archive whose members overlap")
        end = member.start + member.n_bytes
    if end > start:
        raise RefusedPickleError("an archive whose members overlap")
    return members


def _find_directory(data: bytes) -> tuple[int, int, int]:
    """Number of members, and size and place of their list. Errors: RefusedPickleError where the end
    is not as torch's."""
    end = len(data) - 22
    if end < 0 or data[end : end + 4] != _END or data[end + 20 :] != b"\0\0":
        raise RefusedPickleError("an archive that is cut off, or has something behind its end")
    disk, first, here, count, size, start = struct.unpack("<4H2I", data[end + 4 : end + 20])
    if data[end - 20 : end - 16] == _LOCATOR:
        (place,) = struct.unpack("<Q", data[end - 12 : end - 4])
        end -= 76
        if place != end or data[end : end + 4] != _END64:
            raise RefusedPickleError("an archive whose end is false")
        found = struct.unpack("<2I4Q", data[end + 16 : end + 56])
        for short, most, value in zip(
            (here, count, size, start), (0xFFFF, 0xFFFF, -1, -1), found[2:], strict=True
        ):
            if short not in (most & 0xFFFFFFFF, value):
                raise RefusedPickleError("an archive whose end is false")
        disk, first, here, count, size, start = found
    if disk or first or here != count or start + size != end:
        raise RefusedPickleError("an archive whose end is false")
    return count, size, start


def _iter_members(data: bytes, place: int, end: int) -> Iterator[ZipMember]:
    while place < end:
        if data[place : place + 4] != _CENTRAL:
            raise RefusedPickleError("an archive whose list of members is false")
        flags, method = struct.unpack("<2H", data[place + 8 : place + 12])
        packed, size, n_name, n_extra, n_comment = struct.unpack(
            "<2I3H", data[place + 20 : place + 34]
        )
        (local,) = struct.unpack("<I", data[place + 42 : place + 46])
        name = data[place + 46 : place + 46 + n_name]
        extra = data[place + 46 + n_name : place + 46 + n_name + n_extra]
        size, packed, local = _widen(extra, (size, packed, local))
        if method != 0 or packed != size or flags & 1:
            raise RefusedPickleError("an archive with packed or encrypted members")
        if data[local : local + 4] != _LOCAL:
            raise RefusedPickleError("an archive whose list of members is false")
        n_own, n_skipped = struct.unpack("<2H", data[local + 26 : local + 30])
        if data[local + 30 : local + 30 + n_own] != name:
            raise RefusedPickleError("an archive whose members have two names")
        yield ZipMember(name.decode("utf-8"), local + 30 + n_own + n_skipped, size)
        place += 46 + n_name + n_extra + n_comment


def _widen(extra: bytes, values: tuple[int, ...]) -> tuple[int, ...]:
    """Size, packed size and place of a member, those that do not fit from the zip64 part of its
    extra field."""
    wide: list[int] = []
    while len(extra) >= 4 and not wide:
        kind, n_bytes = struct.unpack("<2H", extra[:4])
        if kind == 1:
            wide = [value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + n_bytes // 8 * 8])]
        extra = extra[4 + n_bytes :]
    return tuple(wide.pop(0) if value == 0xFFFFFFFF else value for value in values)


def _check_stream(data: bytes) -> None:
    """The older format: four pickles, the list of storages, then each with its length before it."""
    # Only the beginning is looked at as pickles: the numbers stand behind it, and may be many.
    stream = io.BytesIO(data[: limit("pickle_bytes")])
    if [read_plain(stream), read_plain(stream)] != [_MAGIC, _PROTOCOL]:
        raise RefusedPickleError(
            "a file that torch.save did not write (a tar, a bare pickle, or damaged)"
        )
    read_plain(stream)  # what the writer's system was
    claims = follow_pickle(stream)
    keys = read_plain(stream)
    if (
        not isinstance(keys, list)
        or not all(type(key) is str for key in keys)
        or sorted(keys) != sorted(claims)
    ):
        raise RefusedPickleError("numbers that are not in the file")
    place = stream.tell()
    for key in keys:
        (n_items,) = struct.unpack("<q", data[place : place + 8])
        place += 8 + claims[key]
        if n_items * claims.item_bytes[key] != claims[key] or place > len(data):
            raise RefusedPickleError("numbers that are not in the file")
