"""A dataset is a folder: open it, read its tables and images, and the one way in which a new one is closed.

`dataset.json` is written last, by rename: its presence means that the folder is complete. What is true of this machine
only (where the videos lie, how far a check came) is kept in `.lpw/` and is no part of the dataset.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from lpw_toolkit import __version__
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError
from lpw_toolkit.files.listing import iter_files, list_folder
from lpw_toolkit.files.writing import describe_os_error, publish_text
from lpw_toolkit.schema import FORMAT_VERSION, FRAMES, SCHEMAS, SPLITS, TRACKLETS
from lpw_toolkit.tables import digest_rows, read_table

MANIFEST = "dataset.json"
LOCAL = ".lpw"
#: The folder of the images of an imported benchmark that were copied (`images_root`).
IMAGES = "images"
_MAX_MANIFEST_BYTES = 256 << 20


@dataclass(frozen=True)
class Dataset:
    """A complete dataset folder.

    Attributes:
        root: the folder.
        manifest: what `dataset.json` says.
    """

    root: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The name the dataset gives itself."""
        return str(self.manifest["name"])

    @cached_property
    def tracklets(self) -> pa.Table:
        """The table of tracklets (schema.TRACKLETS). Errors: MismatchError."""
        return read_table(self.root / "tracklets.parquet", TRACKLETS)

    @cached_property
    def frames(self) -> pa.Table:
        """The table of images (schema.FRAMES), sorted by (tracklet_id, position). Errors: MismatchError."""
        return read_table(self.root / "frames.parquet", FRAMES)

    @cached_property
    def splits(self) -> pa.Table | None:
        """Which tracklets train, ask and answer (schema.SPLITS); None where nobody has said. Errors: MismatchError."""
        file = self.root / "splits.parquet"
        return read_table(file, SPLITS) if "splits.parquet" in self.manifest["tables"] else None

    @property
    def images_root(self) -> Path:
        """The folder that `image.path` is relative to; outside the dataset only where it was imported in place.

        Errors: MismatchError for a folder that the manifest may not lead to.
        """
        inner = str(self.manifest.get("images_root", "."))
        if not is_inner_path(inner) and not (self.is_in_place and _is_relative(inner)):
            do = "move the images into the dataset, or import them in place"
            raise MismatchError(self.root / MANIFEST, f"images_root {inner!r}", "a folder inside the dataset", do)
        return self.root / inner

    @property
    def is_in_place(self) -> bool:
        """Whether the images are those of a published benchmark, indexed where they lie (`lpw import --in-place`)."""
        settings = self.manifest.get("settings", {}).get("import", {})
        return isinstance(settings, dict) and settings.get("in_place") is True

    def image_file(self, path: str) -> Path:
        """Where the image named `path` lies. Errors: MismatchError for a path that leaves the dataset."""
        if not is_inner_path(path):
            raise MismatchError(
                self.root / "frames.parquet", f"image path {path!r}", "a path inside it", "build it again"
            )
        return self.images_root / path

    def read_image(self, path: str, sha256: bytes) -> bytes:
        """The encoded image. Errors: CorruptCropError when it is missing or its bytes are not those of the index."""
        file = self.image_file(path)
        do = "restore the file or build the dataset again"
        if file.exists() and not file.is_file():  # a named pipe would be waited for
            raise CorruptCropError(file, "no regular file", "an image", do)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise CorruptCropError(file, describe_os_error(error), "a readable image", do) from error
        found = hashlib.sha256(data).digest()
        if found != sha256:
            raise CorruptCropError(file, f"SHA-256 {found.hex()[:12]}…", f"{sha256.hex()[:12]}…", do)
        return data


def is_inner_path(path: str) -> bool:
    """Whether a POSIX path from a table is relative, stays inside and has no NUL or backslash."""
    pure = PurePosixPath(path)
    return bool(path) and not pure.is_absolute() and ".." not in pure.parts and "\0" not in path and "\\" not in path


def _is_relative(path: str) -> bool:
    return bool(path) and not path.startswith("/") and "\0" not in path and "\\" not in path


def open_dataset(root: Path) -> Dataset:
    """Opens the dataset at `root`.

    Errors: LpwError when none is there or it is unfinished, MismatchError when its manifest is damaged or too new.
    """
    file = root / MANIFEST
    if not root.is_dir():
        raise LpwError(root, "no such folder", "a dataset folder", "name a folder made by `lpw build-tracklets`")
    if not file.is_file():
        unfinished = (root / LOCAL).is_dir()
        do = "run the same build command again: it goes on where it stopped" if unfinished else "build one first"
        raise LpwError(root, "a folder without dataset.json", "a complete dataset", do)
    return Dataset(root, _read_manifest(file))


def _read_manifest(file: Path) -> dict[str, Any]:
    do = "restore it or build the dataset again"
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ValueError("too large")
        manifest = json.loads(file.read_text("utf-8"))
        version = manifest["format_version"]
        if not {"name", "tables"} <= manifest.keys():
            raise TypeError("no name or no tables")
        _refuse_odd(manifest)
    except OSError as error:
        raise MismatchError(file, describe_os_error(error), "a readable manifest", do) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MismatchError(file, f"a damaged manifest ({error})", "the JSON that lpw writes", do) from error
    if version != FORMAT_VERSION:
        raise MismatchError(file, f"format version {version}", f"{FORMAT_VERSION}", "use the lpw version that wrote it")
    return dict(manifest)


def _refuse_odd(manifest: dict[str, Any]) -> None:
    """Errors: TypeError naming the entry that is not what lpw writes."""
    for key, kind in {"name": str, "tables": dict, "settings": dict, "sources": list}.items():
        if not isinstance(manifest.get(key, kind()), kind):
            raise TypeError(f"{key} is no {kind.__name__}")
    for entry in manifest.get("sources", []):
        plain = isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("video_id", "path"))
        if not plain or not is_inner_path(entry["path"]) or not is_inner_path(entry["video_id"]):
            raise TypeError("sources holds an entry without a video_id and a path inside the source folder")
        if "error" not in entry and not isinstance(entry.get("report"), dict):
            raise TypeError(f"sources: {entry['path']} has neither a report nor an error")


def refuse_inside_dataset(out: Path) -> None:
    """Errors: LpwError when `out` would lie inside a finished dataset, which never changes."""
    for folder in out.absolute().parents:
        if (folder / MANIFEST).is_file():
            raise LpwError(out, f"a place inside the dataset {folder.name}", "a place outside", "choose another --out")


def find_dataset(folder: Path) -> Path:
    """The one dataset in or just below `folder`. Errors: LpwError when there is none, or several (they are listed)."""
    if (folder / MANIFEST).is_file():
        return folder
    found = [entry for entry in list_folder(folder) if entry.is_dir() and (entry / MANIFEST).is_file()]
    if len(found) == 1:
        return found[0]
    got = ", ".join(entry.name for entry in found) or "none"
    raise LpwError("dataset", got, "exactly one dataset in or just below this folder", "name the dataset")


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes. Errors: OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def iter_tables(root: Path) -> Iterator[tuple[str, pa.Schema]]:
    """Name (POSIX, relative) and schema of every table file in the dataset at `root`, sorted."""
    for name in ("tracklets", "frames"):
        yield f"{name}.parquet", SCHEMAS[name]
    if (root / "splits.parquet").is_file():
        yield "splits.parquet", SPLITS
    for folder, schema in (("detections", SCHEMAS["detections"]), ("timeline", SCHEMAS["timeline"])):
        if (root / folder).is_dir():
            for file in iter_files(root / folder):
                if file.suffix == ".parquet":
                    yield file.relative_to(root).as_posix(), schema


def close_dataset(root: Path, facts: dict[str, Any]) -> Dataset:
    """Completes the folder `root`, whose tables and images are all written: counts, digests, then `dataset.json`.

    Args:
        facts: name, parent, sources, settings, licence and consent notes (see the data contract).

    Errors: MismatchError when a table is not what it should be, OSError.
    """
    tracklets = read_table(root / "tracklets.parquet", TRACKLETS)
    frames = read_table(root / "frames.parquet", FRAMES)
    manifest = {
        "format_version": FORMAT_VERSION,
        "tool": f"lpw-toolkit {__version__}",
        **facts,
        "counts": count_rows(tracklets, frames),
        "tables": {
            name: {"bytes": (root / name).stat().st_size, "sha256": sha256_file(root / name)}
            for name, _ in iter_tables(root)
        },
        "digest": digest_rows({"tracklets": tracklets, "frames": frames}),
    }
    publish_text(root / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return Dataset(root, manifest)


def count_rows(tracklets: pa.Table, frames: pa.Table) -> dict[str, int]:
    """Numbers of tracklets, images, persons (identified ones), cameras and scenes."""
    return {
        "n_tracklets": tracklets.num_rows,
        "n_images": frames.num_rows,
        "n_persons": len(tracklets["person_id"].drop_null().unique()),
        "n_cameras": len(tracklets["camera_id"].unique()),
        "n_scenes": len(tracklets["scene_id"].drop_null().unique()),
    }
