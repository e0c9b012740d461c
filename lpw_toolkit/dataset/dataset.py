"""A dataset folder: opens it, reads its tables and images, and closes a new one.

`dataset.json` is written last, by rename: its presence means that the folder is complete. What is
true of this machine only (where the videos lie, how far a check came) is kept in `.lpw/` and is no
part of the dataset.

Opening a dataset opens what `dataset.json` names, not what lies there: its own SHA-256 covers
every one of its fields, among them size and SHA-256 of each table, and both are compared before
anything is read.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit import __version__
from lpw_toolkit.dataset.manifest import (
    INNER_TABLES,
    LOCAL,
    MANIFEST,
    RESTORE,
    SELF_DIGEST,
    digest_manifest,
    is_inner_path,
    read_facts,
    read_manifest,
    verify_tables,
)
from lpw_toolkit.dataset.schema import FORMAT_VERSION, FRAMES, KINDS, SCHEMAS, SPLITS, TRACKLETS
from lpw_toolkit.dataset.split_leaks import refuse_leaks
from lpw_toolkit.dataset.tables import (
    describe_table,
    digest_rows,
    read_table,
)
from lpw_toolkit.errors import CorruptCropError, LimitMismatchError, LpwError, MismatchError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.listing import iter_files
from lpw_toolkit.files.machine import recall
from lpw_toolkit.files.opening import (
    Folder,
    exists,
    follow_links,
    is_file,
    is_folder,
    open_stream,
)
from lpw_toolkit.files.writing import (
    atomic_write_text,
    describe_os_error,
    refuse_unwritable,
)

#: The folder of the images of an imported benchmark that were copied (`images_root`).
IMAGES = "images"


@dataclass(frozen=True)
class Dataset:
    """A complete dataset folder.

    Attributes:
        root: the folder.
        manifest: what `dataset.json` says.
        unverified: a sentence for each thing that could not be verified, because an older version
            wrote the dataset.
    """

    root: Path
    manifest: dict[str, Any]
    unverified: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name the dataset gives itself."""
        return str(self.manifest["name"])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) that results carry: of `dataset.json` with all that it names, verified when
        it was opened.

        Of a dataset from before it vouched for itself, the digest of the rows of tracklets and
        frames.
        """
        return str(self.manifest.get(SELF_DIGEST, self.manifest.get("digest")))

    @cached_property
    def tracklets(self) -> pa.Table:
        """The table of tracklets (schema.TRACKLETS). Errors: MismatchError."""
        table = self.read_table("tracklets.parquet", TRACKLETS)
        self._refuse_odd_tracklets(table)
        return table

    def _refuse_odd_tracklets(self, tracklets: pa.Table) -> None:
        """Errors: MismatchError for a tracklet without frames, or of an unknown kind."""
        least = pc.min(tracklets["n_frames"]).as_py()
        if least is not None and least < 1:
            got = f"a tracklet of {least} frames"
            raise MismatchError(self.root / "tracklets.parquet", got, "one frame at least", RESTORE)
        odd = set(pc.unique(tracklets["kind"]).to_pylist()) - set(KINDS)
        if odd:
            got = f"the kind {min(odd)!r:.80}"
            raise MismatchError(
                self.root / "tracklets.parquet", got, f"one of {', '.join(KINDS)}", RESTORE
            )

    @cached_property
    def frames(self) -> pa.Table:
        """The table of images (schema.FRAMES), sorted by (tracklet_id, position). Errors:
        MismatchError."""
        return self.read_table("frames.parquet", FRAMES)

    @cached_property
    def splits(self) -> pa.Table | None:
        """Training, query and gallery tracklets of each split (schema.SPLITS); None without splits.

        Errors: MismatchError, also for a person who both trains and is tested in one split.
        """
        if "splits.parquet" not in self.manifest["tables"]:
            return None
        splits = self.read_table("splits.parquet", SPLITS)
        n_splits = len(pc.unique(splits["split"]))
        if n_splits > limit("splits"):
            got, hint = (
                explain_limit("splits", f"{n_splits} splits"),
                "make fewer splits, or raise the bound",
            )
            raise LimitMismatchError(
                self.root / "splits.parquet", got, "splits within the bounds", hint
            )
        refuse_leaks(splits, self.tracklets, self.root / "splits.parquet")
        return splits

    def read_table(
        self, name: str, schema: pa.Schema, *, columns: list[str] | None = None
    ) -> pa.Table:
        """The table `name`, whose very bytes are those that `dataset.json` names. Errors:
        MismatchError."""
        return read_table(
            self.root / name,
            schema,
            columns=columns,
            facts=read_facts(self.root, self.manifest, name),
        )

    def list_tables(self, schema: pa.Schema) -> list[str]:
        """Names of the listed tables of detections or timelines, sorted."""
        folder = next(folder for folder, kind in INNER_TABLES.items() if kind is schema)
        return sorted(name for name in self.manifest["tables"] if name.startswith(f"{folder}/"))

    @property
    def images_root(self) -> Path:
        """The folder that `image.path` is relative to; outside the dataset only where it was
        imported in place.

        A place outside is believed only where the user of this machine has named it: by the import,
        or `lpw locate`.

        Errors: MismatchError for a folder that the manifest may not lead to, or that nobody here
        has named.
        """
        inner = str(self.manifest.get("images_root", "."))
        if is_inner_path(inner):
            return self.root / inner
        if not (self.is_in_place and _is_relative(inner)):
            hint = "move the images into the dataset, or import them in place"
            raise MismatchError(
                self.root / MANIFEST, f"images_root {inner!r}", "a folder inside the dataset", hint
            )
        named = recall(self.root / LOCAL, "images_root", self.digest)
        if named is None:
            hint = f"look at them, then name the folder: `lpw locate {self.root} --images DIR`"
            got = f"images that lie outside of it ({inner})"
            raise MismatchError(
                self.root, got, "a folder that you have named on this machine", hint
            )
        return follow_links(self.root / named)

    @cached_property
    def image_folder(self) -> Folder:
        """`images_root`, held open. Errors: MismatchError."""
        try:
            return Folder(self.images_root)
        except OSError as error:
            raise MismatchError(
                self.images_root, describe_os_error(error), "the folder of the images", "restore it"
            ) from error

    @property
    def is_in_place(self) -> bool:
        """Whether the images are those of a published benchmark, indexed where they lie (`lpw
        import --in-place`)."""
        settings = self.manifest.get("settings", {}).get("import", {})
        return isinstance(settings, dict) and settings.get("in_place") is True

    def image_file(self, path: str) -> Path:
        """Where the image named `path` lies. Errors: MismatchError for a path that leaves the
        dataset."""
        self._refuse_outer(path)
        return self.images_root / path

    def refuse_repeated_images(self) -> None:
        """Before every image is copied: a million rows that name one large file would be a million
        copies of it.

        Errors: MismatchError that names such a file.
        """
        counts = pc.value_counts(
            pc.struct_field(self.frames["image"].combine_chunks(), "path").drop_null()
        )
        most = (
            counts[pc.index(counts.field("counts"), pc.max(counts.field("counts"))).as_py()]
            if len(counts)
            else None
        )
        if most is not None and most["counts"].as_py() > 1:
            got = f"{most['values'].as_py()!r:.200} in {most['counts'].as_py()} rows"
            raise MismatchError(
                self.root / "frames.parquet", got, "each image file once", "build the dataset again"
            )

    def _refuse_outer(self, path: str | None) -> None:
        if path is None or not is_inner_path(
            path
        ):  # a table may hold nulls within the struct of an image
            raise MismatchError(
                self.root / "frames.parquet",
                f"image path {path!r}",
                "a path inside it",
                "build it again",
            )

    def load_image(self, path: str) -> bytes:
        """The encoded image, not compared with the index. Errors: OSError, MismatchError for a path
        that leaves."""
        self._refuse_outer(path)
        return self.image_folder.read(path, "image_bytes")

    def read_image(self, path: str, sha256: bytes) -> bytes:
        """The encoded image. Errors: CorruptCropError when it is missing or its bytes are not those
        of the index."""
        hint = "restore the file or build the dataset again"
        try:
            data = self.load_image(path)
        except OSError as error:
            file = self.image_file(path)
            raise CorruptCropError(
                file, describe_os_error(error), "a readable image", hint
            ) from error
        found = hashlib.sha256(data).digest()
        if found != sha256:
            got = f"SHA-256 {found.hex()[:12]}…"
            raise CorruptCropError(self.image_file(path), got, f"{sha256.hex()[:12]}…", hint)
        return data


def _is_relative(path: str) -> bool:
    return bool(path) and not path.startswith("/") and "\0" not in path and "\\" not in path


def open_dataset(root: Path | str, *, verify: bool = True) -> Dataset:
    """Opens the dataset at `root`, once its tables are the ones that `dataset.json` names.

    Small tables are compared by SHA-256, large ones by size and by the SHA-256 of their Parquet
    footer; `lpw check` looks at everything.

    Args:
        verify: False for `lpw check`, which tells all that differs.

    Errors: LpwError when none is there or it is unfinished, MismatchError when its manifest is
    damaged or too new, or names other tables than lie there, or a person both trains and is tested.
    """
    root = follow_links(Path(root))
    file = root / MANIFEST
    if not is_folder(root):
        raise LpwError(
            root,
            "no such folder",
            "a dataset folder",
            "name a folder made by `lpw build-tracklets`",
        )
    if not exists(file):
        unfinished = is_folder(root / LOCAL)
        hint = "run the same build command again: it resumes" if unfinished else "build one first"
        raise LpwError(root, "a folder without dataset.json", "a complete dataset", hint)
    dataset = Dataset(root, read_manifest(file))
    if verify:
        dataset = Dataset(
            root, dataset.manifest, tuple(verify_tables(dataset.root, dataset.manifest))
        )
        _ = dataset.splits  # refused by every command where a person is on both sides
    return dataset


def refuse_inside_dataset(out: Path) -> None:
    """Errors: LpwError when `out` would lie inside a finished dataset, which never changes."""
    for folder in out.absolute().parents:
        if is_file(folder / MANIFEST):
            raise LpwError(
                out,
                f"a place inside the dataset {folder.name}",
                "a place outside",
                "choose another --out",
            )


def refuse_out(out: Path) -> None:
    """Refuses, before work that takes long, an output that could not be written after it.

    Errors: LpwError for a place inside a dataset, OutputError for one that takes no files.
    """
    refuse_inside_dataset(out)
    refuse_unwritable(out)


def sha256_file(path: Path, bound: str | None = None) -> str:
    """SHA-256 (hex) of a file's bytes. Errors: OSError as `files.opening.open_file`."""
    with open_stream(path, bound) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def iter_tables(root: Path) -> Iterator[tuple[str, pa.Schema]]:
    """Name (POSIX, relative) and schema of every table file that lies in the dataset at `root`,
    sorted."""
    for name in ("tracklets", "frames"):
        yield f"{name}.parquet", SCHEMAS[name]
    if exists(root / "splits.parquet"):
        yield "splits.parquet", SPLITS
    for folder, schema in INNER_TABLES.items():
        if is_folder(root / folder):
            for file in iter_files(root / folder):
                if file.suffix == ".parquet":
                    yield file.relative_to(root).as_posix(), schema


def close_dataset(root: Path, facts: dict[str, Any]) -> Dataset:
    """Completes the folder `root`, whose tables and images are all written: counts, digests, then
    `dataset.json`.

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
        "tables": {name: describe_table(root / name) for name, _ in iter_tables(root)},
        "digest": digest_rows({"tracklets": tracklets, "frames": frames}),
    }
    manifest = json.loads(json.dumps(manifest))
    manifest[SELF_DIGEST] = digest_manifest(manifest)
    atomic_write_text(root / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
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
