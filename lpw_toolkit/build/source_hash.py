"""What identifies a source: the size and SHA-256 of a video, or of the images of a sequence."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lpw_toolkit.dataset.dataset import sha256_file
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import iter_files, list_folder
from lpw_toolkit.files.opening import follow_links, is_folder, measure
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.video.sequences import IMAGE_FOLDER, group_images


def hash_source(path: Path, sequence: str = "") -> dict[str, Any]:
    """Size in bytes and SHA-256 of a video, or of an image sequence (over names and contents in
    order).

    Args:
        sequence: which of several image sequences in the folder `path`.

    Errors: LpwError for what cannot be read.
    """
    try:
        if path.is_file():
            real = follow_links(path)  # a film may be a link to another disk
            return {"bytes": measure(real), "sha256": sha256_file(real)}
        path = follow_links(path)
        files = [file for file in _files_of(path, sequence) if file.is_file()]
        lines = "".join(
            f"{sha256_file(file, 'image_bytes')} {file.relative_to(path).as_posix()}\n"
            for file in files
        )
        return {
            "bytes": sum(map(measure, files)),
            "sha256": hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(),
        }
    except OSError as error:
        raise LpwError(
            path, describe_os_error(error), "a readable video", "check the file and its rights"
        ) from error


def _files_of(folder: Path, sequence: str) -> Iterable[Path]:
    """All files of a folder with `img1/`; else the images of the sequence."""
    if is_folder(folder / IMAGE_FOLDER):
        return iter_files(folder)
    found = group_images(path.name for path in list_folder(folder)).sequences
    images = next((each.images for each in found if each.name == sequence), {})
    return [folder / name for name in ("seqinfo.ini", *images.values())]
