"""`lpw check`: does a dataset match its own `dataset.json` and index? Nothing is changed or
removed.

From the outside in: dataset.json, then size and SHA-256 of every table (damage to a Parquet footer
is found only so), then schema and rows, then every image. What cannot be trusted is not looked
into: the rows of a table whose bytes are not the ones written say nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.check.images import STATE_FILE, CheckState, Images, check_images, find_extra
from lpw_toolkit.check.pack import check_pack
from lpw_toolkit.check.problems import Problem
from lpw_toolkit.check.published import check_published
from lpw_toolkit.check.rows import (
    check_detections,
    check_frames,
    check_pairing,
    check_paths,
    check_row_groups,
    check_timeline,
    check_tracklets,
)
from lpw_toolkit.check.splits import (
    check_split_members,
    check_split_persons,
    check_split_source,
    check_splits,
)
from lpw_toolkit.dataset.dataset import (
    IMAGES,
    Dataset,
    count_rows,
    iter_tables,
    open_dataset,
    sha256_file,
)
from lpw_toolkit.dataset.manifest import LOCAL, MANIFEST, digest_manifest, is_inner_path
from lpw_toolkit.dataset.schema import SCHEMAS
from lpw_toolkit.dataset.tables import digest_rows, read_table
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.listing import list_folder, list_names
from lpw_toolkit.files.opening import exists, follow_links, is_folder, measure
from lpw_toolkit.files.writing import TEMPORARY_SUFFIX, describe_os_error

Rows = NDArray[np.int64]


@dataclass
class CheckReport:
    """The result of a check.

    Attributes:
        problems: in the order of the data: manifest, tables, rows, images.
        n_tables: tables whose bytes are the ones that dataset.json names.
        n_rows: rows of those tables that were checked.
        n_images: images verified in this run.
        n_unchanged: images that an earlier run had verified and that did not change since.
        complete: whether everything was looked at; a damaged table or `images=False` leaves
            something out.
        notes: what the user should know beside the problems.
    """

    problems: list[Problem] = field(default_factory=list)
    n_tables: int = 0
    n_rows: int = 0
    n_images: int = 0
    n_unchanged: int = 0
    complete: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no problem but warnings was found; see `complete` for what was left out."""
        return all(problem.level == "warning" for problem in self.problems)

    def as_fields(self) -> dict[str, Any]:
        """The report for machines."""
        counts = {
            name: getattr(self, name)
            for name in ("n_tables", "n_rows", "n_images", "n_unchanged", "complete")
        }
        return {
            "ok": self.ok,
            **counts,
            "notes": self.notes,
            "problems": [p.as_fields() for p in self.problems],
        }


def check_dataset(
    root: Path, *, incremental: bool = False, state: Path | None = None, images: bool = True
) -> CheckReport:
    """Verifies the dataset at `root`.

    Args:
        incremental: skip images that were verified before and did not change since (size, times,
            inode). Without it, everything is read again; only an interrupted full check
            resumes.
        state: folder for the list of verified images, for a dataset that cannot be written to;
            otherwise `.lpw/`.
        images: whether to check the images too.

    Errors: LpwError when there is no dataset at `root` or `state` cannot be written. A damaged
    dataset is no error but a report. KeyboardInterrupt passes through after the state is saved.
    """
    report, root = CheckReport(), follow_links(root)
    try:
        dataset = open_dataset(root, verify=False)
    except MismatchError as error:
        report.problems.append(Problem(MANIFEST, None, "manifest", error.got))
        report.complete = False
        return report
    tables = _check_tables(dataset, report)
    frames, tracklets = tables.get("frames.parquet"), tables.get("tracklets.parquet")
    report.problems += (
        Problem(entry.name, None, "leftover", "a temporary file", "warning")
        for entry in list_folder(root)
        if entry.name.endswith(TEMPORARY_SUFFIX)
    )
    if frames is None or tracklets is None:
        report.complete = False
        return report
    followed = _check_contents(dataset, tracklets, frames, report)
    report.problems += _check_splits(dataset, tracklets, frames, tables.get("splits.parquet"))
    report.problems += check_pack(dataset, frames, images=images)
    if not images:
        report.complete = False
        return report
    checked = _open_state(dataset, state, frames.num_rows, incremental, report)
    _verify_images(dataset, frames, followed, checked, report)
    return report


def _check_tables(dataset: Dataset, report: CheckReport) -> dict[str, pa.Table]:
    """The tables that can be trusted, each checked by itself."""
    listed: dict[str, Any] = dataset.manifest["tables"]
    present = {name for name, _ in iter_tables(dataset.root) if exists(dataset.root / name)}
    for name in sorted((present | {"frames.parquet", "tracklets.parquet"}) - set(listed)):
        report.problems.append(
            Problem(name, None, "table-unlisted", "a table that dataset.json does not list")
        )
        report.complete = False
    tables = {}
    for name, facts in listed.items():
        problems = list(_check_bytes(dataset.root, name, facts))
        table = None
        if not problems:
            report.n_tables += 1
            table = _read(dataset.root, name, problems)
        if table is not None:
            tables[name] = table
            report.n_rows += table.num_rows
            problems += _check_rows(name, table)
        report.complete = report.complete and (
            table is not None or (not problems and _kind_of(name) is None)
        )
        report.problems += problems
    return tables


def _check_bytes(root: Path, name: str, facts: object) -> Iterator[Problem]:
    """Whether the file is the one that was written: size and SHA-256."""
    if not is_inner_path(name) or not isinstance(facts, dict):
        yield Problem(MANIFEST, None, "manifest", f"the table {name!r} with {facts!r:.80}")
        return
    try:
        n_bytes = measure(root / name)
        if n_bytes != facts.get("bytes"):
            yield Problem(
                name, None, "table-size", f"{n_bytes} bytes instead of {facts.get('bytes')}"
            )
        elif (found := sha256_file(root / name)) != facts.get("sha256"):
            yield Problem(
                name,
                None,
                "table-hash",
                f"{found[:12]}… instead of {str(facts.get('sha256'))[:12]}…",
            )
    except OSError as error:
        yield Problem(name, None, "table-missing", describe_os_error(error))


def _read(root: Path, name: str, problems: list[Problem]) -> pa.Table | None:
    kind = _kind_of(name)
    if kind is None:
        return None
    try:
        table = read_table(root / name, SCHEMAS[kind])
        table.validate(full=True)  # broken UTF-8, offsets beyond the end
    except MismatchError as error:
        problems.append(
            Problem(name, None, "table-read", f"{error.got}, not {error.expected} ({error.thing})")
        )
        return None
    except pa.ArrowException as error:
        problems.append(Problem(name, None, "table-read", str(error)))
        return None
    if b"lpw_table" not in (table.schema.metadata or {}):
        problems.append(Problem(name, None, "table-metadata", "none"))
    return table


def _kind_of(name: str) -> str | None:
    """Which schema a table of this name has; None for one that this version does not know."""
    if name in ("tracklets.parquet", "frames.parquet", "splits.parquet"):
        return name.removesuffix(".parquet")
    folder = name.split("/", maxsplit=1)[0]
    return folder if "/" in name and folder in ("detections", "timeline") else None


def _check_rows(name: str, table: pa.Table) -> Iterator[Problem]:
    kind = _kind_of(name)
    if kind == "tracklets":
        yield from check_tracklets(table)
    elif kind == "frames":
        yield from check_frames(table)
    elif kind == "splits":
        yield from check_splits(table)
    elif kind == "detections":
        yield from check_detections(name, table)
    elif kind == "timeline":
        yield from check_timeline(name, table)


def _check_contents(
    dataset: Dataset, tracklets: pa.Table, frames: pa.Table, report: CheckReport
) -> Rows:
    """What frames and tracklets say of each other; returns the rows whose image path may be
    followed."""
    problems, fit = check_paths(frames)
    report.problems += problems
    if not any(problem.rule in ("sorted", "unique-id") for problem in report.problems):
        report.problems += check_pairing(tracklets, frames)
        report.problems += check_row_groups(dataset.root / "frames.parquet", frames)
    report.problems += _check_summary(dataset.manifest, tracklets, frames)
    return np.flatnonzero(fit).astype(np.int64)


def _check_splits(
    dataset: Dataset, tracklets: pa.Table, frames: pa.Table, splits: pa.Table | None
) -> Iterator[Problem]:
    """What the splits say of tracklets, and the whole of an imported benchmark beside what was
    published of it."""
    if splits is not None:
        yield from check_split_members(splits, tracklets)
        yield from check_split_persons(splits, tracklets)
        yield from check_split_source(dataset.manifest, splits)
    yield from check_published(dataset.manifest, tracklets, splits, frames.num_rows)


def _check_summary(
    manifest: dict[str, Any], tracklets: pa.Table, frames: pa.Table
) -> Iterator[Problem]:
    counts = manifest.get("counts")
    for name, found in count_rows(tracklets, frames).items():
        said = counts.get(name) if isinstance(counts, dict) else None
        if said != found:
            yield Problem(MANIFEST, None, "counts", f"{name} {said}, but {found} in the tables")
    said = manifest.get("manifest_sha256")
    if said is not None and said != digest_manifest(manifest):
        yield Problem(
            MANIFEST, None, "manifest-hash", f"{str(said)[:12]}…, but its fields are others"
        )
    digest = digest_rows({"tracklets": tracklets, "frames": frames})
    if digest != manifest.get("digest"):
        yield Problem(
            MANIFEST,
            None,
            "digest",
            f"{str(manifest.get('digest'))[:12]}…, but {digest[:12]}… in the tables",
        )


def _open_state(
    dataset: Dataset, folder: Path | None, n_images: int, incremental: bool, report: CheckReport
) -> CheckState | None:
    """The list of verified images; None, with a note, where the dataset cannot be written to."""
    file = (folder or dataset.root / LOCAL) / STATE_FILE
    state = CheckState(file, str(dataset.manifest.get("digest")), n_images)
    try:
        state.start(incremental=incremental)
    except (OSError, LpwError) as error:
        found = describe_os_error(error) if isinstance(error, OSError) else error.got
        if folder:
            raise LpwError(
                folder, found, "a folder that can be written", "choose another one"
            ) from error
        report.notes.append(
            f"{file.parent} cannot be written ({found}): give `--state DIR` to resume after a break"
        )
        return None
    return state


def _verify_images(
    dataset: Dataset, frames: pa.Table, rows: Rows, state: CheckState | None, report: CheckReport
) -> None:
    inner = str(dataset.manifest.get("images_root", "."))
    try:
        if not exists(dataset.images_root):
            report.problems.append(Problem(inner, None, "image-missing", "no such folder"))
            report.complete = False
            return
        folder = dataset.image_folder
    except MismatchError as error:
        report.problems.append(Problem(MANIFEST, None, "images-root", error.got))
        report.complete = False
        return
    found = check_images(Images(folder, frames, rows), state)
    report.problems += found.problems
    report.n_images, report.n_unchanged = found.n_verified, found.n_unchanged
    report.complete = report.complete and len(rows) == frames.num_rows
    if state and report.complete:
        state.end()
    if state and state.fault:
        report.notes.append(f"what was verified could not be saved ({state.fault})")
    if inner == ".":  # images that lie elsewhere may have neighbours of their own
        report.problems += find_extra(_iter_image_names(dataset.root, frames, report), frames)
    elif inner == IMAGES:
        report.problems += find_extra(_iter_names(dataset.root, inner, report), frames)


def _iter_image_names(root: Path, frames: pa.Table, report: CheckReport) -> Iterator[str]:
    """Every file in the top folders that the index uses, as a path relative to the dataset."""
    paths = pc.struct_field(frames["image"].combine_chunks(), "path")
    tops = pc.unique(pc.list_element(pc.split_pattern(paths, "/", max_splits=1), 0)).to_pylist()
    for top in sorted({top for top in tops if top and is_inner_path(top)}):
        yield from (f"{top}/{name}" for name in _iter_names(root, top, report))


def _iter_names(root: Path, top: str, report: CheckReport) -> Iterator[str]:
    """Every file below the folder `top` of the dataset, relative to it."""
    if not is_folder(root / top):
        return
    try:
        yield from list_names(root / top)
    except OSError as error:
        report.notes.append(
            f"{top} was not searched for files too many ({describe_os_error(error)})"
        )
