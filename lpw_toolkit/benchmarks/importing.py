"""Imports a published benchmark (`lpw import`): raw tree and reader in, tables and images out.

    tree --reader--> tracklets, splits --> ImportTable --ImageCopier--> hashes, sizes, copies
    --> tables --> dataset.json

Counts that differ from the published ones, and images that cannot be used, end the import unless
the user allows a partial one; then they are recorded. The same command
resumes an interrupted import.
"""

import errno
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lpw_toolkit.benchmarks.archives.archive import RawTree, open_tree
from lpw_toolkit.benchmarks.image_copier import CopiedImage, ImageCopier
from lpw_toolkit.benchmarks.import_rows import (
    ImportTable,
    Kept,
    make_frames,
    make_import_table,
    make_splits,
    make_tracklets,
)
from lpw_toolkit.benchmarks.reader import (
    Benchmark,
    RawDataset,
    ReadOptions,
    Splits,
    open_benchmark,
    published_counts,
)
from lpw_toolkit.dataset.dataset import IMAGES, Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.schema import FRAMES, SPLITS, TRACKLETS
from lpw_toolkit.dataset.tables import write_table
from lpw_toolkit.dataset.workspace import Workspace
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.listing import list_names
from lpw_toolkit.files.machine import remember
from lpw_toolkit.files.opening import read_json
from lpw_toolkit.files.writing import describe_os_error, remove_file
from lpw_toolkit.names import show_name

#: How many names of a kind a message or a manifest lists before it only counts.
MAX_NAMED, MAX_RECORDED = 20, 1_000


@dataclass(frozen=True)
class ImportConfig:
    """An import, complete.

    Attributes:
        benchmark: its reader (`benchmarks.list_benchmarks`).
        raw: folder or archive of the raw dataset.
        out: dataset to be made.
        in_place: leave the images where they are; `images_root` points there.
        allow_partial: continue although counts differ or images are unusable, and record it.
        options: variant and seed, for the reader.
        name, licence, consent: what the dataset says of itself; None for the benchmark's own name
            and licence note.
        restart: throw away an unfinished import with other settings.
        part_images: images between two checkpoints from which a stopped run resumes.
    """

    benchmark: str
    raw: Path
    out: Path
    in_place: bool = False
    allow_partial: bool = False
    options: ReadOptions = field(default_factory=ReadOptions)
    name: str | None = None
    licence: str | None = None
    consent: str | None = None
    restart: bool = False
    part_images: int = 8_192


@dataclass(frozen=True)
class ImportResult:
    """The result of an import.

    Attributes:
        dataset: the finished dataset; `facts` is what its manifest says of the import.
        published: counts that were published, by the names of the dataset's own counts.
        remarks: what the user should know beside it.
    """

    dataset: Dataset
    published: dict[str, int]
    remarks: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """`settings.import` of `dataset.json`."""
        return dict(self.dataset.manifest["settings"]["import"])


def import_benchmark(
    config: ImportConfig,
    say: Callable[[str], None] = lambda line: None,
    reader: Benchmark | None = None,
) -> ImportResult:
    """Makes a dataset of a raw tree; the same call again resumes an interrupted import.

    Args:
        say: gets one line for each thing that differs or cannot be used.
        reader: instead of the one that `config.benchmark` names.

    Errors: LpwError for what is no such tree, or a folder that cannot be written; MismatchError
    when counts differ from the published ones or images cannot be used, and `allow_partial` is off.
    """
    reader = reader or open_benchmark(config.benchmark)
    _refuse_nested(config.raw, config.out)
    with closing(open_tree(config.raw)) as tree:
        if config.in_place and tree.kind != "folder":
            raise LpwError(
                config.raw,
                "an archive",
                "a folder with --in-place",
                "unpack it, or leave --in-place out",
            )
        reading = reader.read(tree, config.options)
        _report_mismatches(config, reading, say)
        task = _Import(config, reader, tree, reading, make_import_table(tree, reading))
        try:
            with Workspace(config.out, restart=config.restart) as work:
                return task.run(work, say)
        except OSError as error:
            raise _system_error(config.out, error) from error


def _refuse_nested(raw: Path, out: Path) -> None:
    real, target = os.path.realpath(raw), os.path.realpath(out)
    if f"{target}/".startswith(f"{real}/") or f"{real}/".startswith(f"{target}/"):
        raise LpwError(
            out, f"a place within or around {raw}", "a folder apart from it", "choose another --out"
        )


def _report_mismatches(
    config: ImportConfig, reading: RawDataset, say: Callable[[str], None]
) -> None:
    """Names every count that differs. Errors: MismatchError unless that is allowed."""
    lines = reading.mismatches
    _say_all(lines, "differs", say)
    if lines and not config.allow_partial:
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        hint = "complete it, or continue with --allow-partial, which records it"
        raise MismatchError(
            config.raw, f"{show_name(lines[0])}{more}", "the published counts", hint
        )


def _say_all(lines: list[str], kind: str, say: Callable[[str], None]) -> None:
    for line in lines[:MAX_NAMED]:
        say(f"{kind}: {show_name(line)}")
    if len(lines) > MAX_NAMED:
        say(f"{kind}: {len(lines) - MAX_NAMED} more")


@dataclass
class _Import:
    config: ImportConfig
    reader: Benchmark
    tree: RawTree
    reading: RawDataset
    import_table: ImportTable

    def run(self, work: Workspace, say: Callable[[str], None]) -> ImportResult:
        self._hold_plan(work)
        if work.is_complete:
            return self._result(open_dataset(work.out), ["complete already: nothing to do"])
        copied = ImageCopier(
            self.tree,
            self.import_table.names,
            self.import_table.paths,
            None if self.config.in_place else work.out / IMAGES,
            work.parts("import", self.import_table.digest),
            self.config.part_images,
        ).take()
        faults = list(copied.faults.values())
        _say_all(faults, "unusable", say)
        if faults and not self.config.allow_partial:
            more = (
                f" and {len(faults) - 1} more images that cannot be used" if len(faults) > 1 else ""
            )
            hint = (
                "restore them and run the same command again, or leave them out with "
                "--allow-partial"
            )
            raise MismatchError(
                self.config.raw, f"{show_name(faults[0])}{more}", "whole JPEG and PNG images", hint
            )
        return self._close(work, copied)

    def _hold_plan(self, work: Workspace) -> None:
        """Binds the folder to this import. Errors: LpwError, MismatchError when the raw tree has
        changed since."""
        settings = self._settings()
        file = work.local / "plan.json"
        try:
            held = read_json(file)
        except (OSError, ValueError):
            held = {}
        held = held if isinstance(held, dict) else {}
        if (
            held.get("import") == settings
            and held.get("rows") != self.import_table.digest
            and not self.config.restart
        ):
            hint = "put it back as it was, choose another --out, or begin anew with --restart"
            raise MismatchError(
                self.config.raw, "other files than when this import began", "the same ones", hint
            )
        work.hold_plan({"import": settings, "rows": self.import_table.digest})

    def _settings(self) -> dict[str, Any]:
        """All that was chosen; what was allowed is no part of it, since it changes nothing where
        nothing is amiss."""
        config = self.config
        source = {
            key: show_name(v) if isinstance(v, str) else v for key, v in self.tree.facts().items()
        }
        return {
            "benchmark": self.reader.FACTS.name,
            "variant": config.options.variant,
            "split_seed": config.options.split_seed,
            "in_place": config.in_place,
            "source": source,
            "notes": [config.name, config.licence, config.consent],
        }

    def _close(self, work: Workspace, copied: CopiedImage) -> ImportResult:
        kept = self.import_table.keep(copied)
        if not kept.rows:
            raise MismatchError(
                self.config.raw,
                "no image that can be used",
                "at least one",
                "fetch the dataset again",
            )
        if work.resumed and not self.config.in_place:
            self._remove_orphans(work.out / IMAGES, kept)
        write_table(
            work.out / "frames.parquet",
            make_frames(self.import_table, kept, copied),
            FRAMES,
            group_by="tracklet_id",
        )
        write_table(work.out / "tracklets.parquet", make_tracklets(kept), TRACKLETS)
        if self.reading.splits:
            write_table(
                work.out / "splits.parquet",
                make_splits(self.reading.splits, self.import_table, kept),
                SPLITS,
            )
        notes = _describe_turned(copied, kept)
        dataset = close_dataset(work.out, self._facts(kept, list(copied.faults.values()), notes))
        if self.config.in_place:
            remember(work.local, "images_root", self._images_root(), dataset.digest)
        work.finish()
        return self._result(dataset, [])

    def _remove_orphans(self, images: Path, kept: Kept) -> None:
        """Removes copies of files that were whole when an earlier run read them and are not any
        more."""
        named = {self.import_table.paths[row] for row in kept.rows}
        for name in list_names(images):
            if name not in named:
                remove_file(images / name)

    def _facts(self, kept: Kept, faults: list[str], notes: list[str]) -> dict[str, Any]:
        config, facts, reading = self.config, self.reader.FACTS, self.reading
        settings = self._settings()
        settings.pop("notes")
        dropped = {
            "n_images": len(faults),
            "n_tracklets": len(self.import_table.tracklets) - len(kept.tracklets),
        }
        own = {
            **settings,
            "title": facts.title,
            "citation": facts.citation,
            "url": facts.url,
            "mismatches": [show_name(line) for line in reading.mismatches[:MAX_RECORDED]],
            "dropped": {**dropped, "images": [show_name(line) for line in faults[:MAX_RECORDED]]},
            "extras": {
                "n_files": len(reading.extras),
                "first": [show_name(line) for line in reading.extras[:MAX_NAMED]],
            },
            "notes": [show_name(line) for line in [*reading.notes, *notes]],
        }
        return {
            "name": config.name or facts.name,
            "parent": None,
            "licence": config.licence or facts.licence_note,
            "consent": config.consent,
            "images_root": self._images_root(),
            "splits": _describe_splits(reading.splits),
            "settings": {"import": own},
            "sources": [],
        }

    def _images_root(self) -> str:
        """Where the paths of the rows begin: the copies, or the raw tree as seen from the
        dataset."""
        if not self.config.in_place:
            return IMAGES
        real = os.path.realpath(self.config.raw / self.import_table.prefix)
        return os.path.relpath(real, os.path.realpath(self.config.out))

    def _result(self, dataset: Dataset, remarks: list[str]) -> ImportResult:
        said = published_counts(self.reader.FACTS.counts, self.config.options.variant)
        published = {name: said[name] for name in dataset.manifest["counts"] if name in said}
        return ImportResult(dataset, published, remarks)


def _describe_turned(copied: CopiedImage, kept: Kept) -> list[str]:
    """What is to be said of images that are stored turned."""
    n_turned = int(copied.turned[kept.rows].sum())
    if not n_turned:
        return []
    turned = f"{n_turned} of {len(kept.rows)} images are stored turned (EXIF orientation)"
    return [f"{turned}; they are read upright, and width and height are those of the upright image"]


def _describe_splits(splits: Splits | None) -> dict[str, Any] | None:
    if splits is None:
        return None
    return {
        "source": splits.source,
        "digest": splits.digest,
        "drawn": splits.drawn,
        "n_splits": len(splits.subsets),
        "note": splits.note,
    }


def _system_error(out: Path, error: OSError) -> LpwError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = (
        f"{'free some space' if full else 'fix that'}, then run the same command again: it resumes"
    )
    return LpwError(
        error.filename or out, describe_os_error(error), "a folder that takes files", hint
    )
