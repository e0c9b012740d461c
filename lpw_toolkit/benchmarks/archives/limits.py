"""Limits on the size and the memory of an archive, and the error that refuses a larger one."""

from dataclasses import dataclass, field
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import limit


@dataclass(frozen=True)
class Limits:
    """Caps on what a stranger's archive may cost (`files.limits` says why); what no archive needs
    more of stands here.

    Attributes:
        max_members: entries of any kind.
        max_folders: folders that they lie in.
        max_name_bytes, max_depth: of one name, in UTF-8 and in parts.
        max_names_bytes: memory that all names together take.
        max_member_bytes: unpacked size of one member.
        max_total_bytes: unpacked size of all members together.
        max_ratio: unpacked bytes for each packed one, of a member and of the whole.
        member_floor_bytes, total_floor_bytes: what may unpack whatever its ratio: a small empty
            table packs to nothing.
        kept_bytes: how much of the small files beside the images (splits, name lists) stays in
            memory, so that a reader need not unpack a whole tar again for each of them.
    """

    max_members: int = field(default_factory=lambda: limit("archive_members"))
    max_folders: int = field(default_factory=lambda: limit("archive_folders"))
    max_name_bytes: int = 1_024
    max_depth: int = 32
    max_names_bytes: int = field(default_factory=lambda: limit("archive_names_bytes"))
    max_member_bytes: int = field(default_factory=lambda: limit("image_bytes"))
    max_total_bytes: int = field(default_factory=lambda: limit("archive_bytes"))
    max_ratio: int = field(default_factory=lambda: limit("archive_ratio"))
    member_floor_bytes: int = 1 << 20
    total_floor_bytes: int = 16 << 20
    kept_bytes: int = 48 << 20


def refuse(archive: Path, got: str, expected: str) -> LpwError:
    """The error for an archive that breaks a rule."""
    return LpwError(
        archive,
        got,
        expected,
        "unpack it yourself where you trust it and name the folder, or pack it anew",
    )


def refuse_damage(archive: Path, got: str) -> LpwError:
    """The error for an archive that is not whole."""
    return LpwError(archive, got, "a whole archive", "download or copy it again")


def check_unpacked(archive: Path, n_unpacked: int, n_packed: int, limits: Limits) -> None:
    """Errors: LpwError when `n_unpacked` bytes are more than an archive of `n_packed` bytes may
    give."""
    if n_unpacked > limits.max_total_bytes:
        raise refuse(archive, f"more than {limits.max_total_bytes} bytes unpacked", "less")
    if n_unpacked > max(limits.max_ratio * n_packed, limits.total_floor_bytes):
        got = f"{n_unpacked} bytes unpacked from {n_packed}, more than {limits.max_ratio} to 1"
        raise refuse(archive, got, f"at most {limits.max_ratio} to 1")


def check_member(
    archive: Path, name: str, n_unpacked: int, n_packed: int | None, limits: Limits
) -> None:
    """Errors: LpwError when one member is too large, or packed too well (`n_packed` is None where
    nobody knows)."""
    if n_unpacked < 0 or n_unpacked > limits.max_member_bytes:
        raise refuse(
            archive,
            f"{name!r} with {n_unpacked} bytes",
            f"at most {limits.max_member_bytes} in one member",
        )
    if n_packed is not None and n_unpacked > max(
        limits.max_ratio * n_packed, limits.member_floor_bytes
    ):
        got = f"{name!r} of {n_unpacked} bytes packed into {n_packed}"
        raise refuse(archive, got, f"at most {limits.max_ratio} to 1")
