"""The folder in which a dataset is built: locked by one process, resumable, and never shared.

OUT/.lpw/lock          held while a build runs
OUT/.lpw/plan.json     what is being built; the same plan resumes, another one is refused
OUT/.lpw/local.json    where the videos lie on this machine (no part of the dataset)
OUT/.lpw/parts/…       finished segments, removed when the dataset is complete
"""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lpw_toolkit.dataset.dataset import Dataset, refuse_inside_dataset
from lpw_toolkit.dataset.manifest import LOCAL, MANIFEST
from lpw_toolkit.dataset.plan_changes import compare_plans
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.appending import open_lock
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.machine import recall, remember
from lpw_toolkit.files.opening import Folder, exists, follow_links, is_file, is_folder, read_json
from lpw_toolkit.files.writing import (
    atomic_write_text,
    describe_os_error,
    make_folder,
    remove_folder,
)


class Workspace:
    """Context manager over an output folder.

    Args:
        out: the dataset to be.
        restart: throw away an unfinished build with other settings instead of refusing to resume.

    Errors: LpwError for a folder that holds other things, is in use by another process, or cannot
    be written.
    """

    def __init__(self, out: Path, *, restart: bool = False) -> None:
        self.out = follow_links(out)
        self.restart = restart
        self.local = self.out / LOCAL
        self.resumed = False
        self._lock: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the dataset is finished."""
        return is_file(self.out / MANIFEST)

    def __enter__(self) -> Self:
        refuse_inside_dataset(self.out)
        self._refuse_foreign()
        make_folder(self.local)
        self._take_lock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _refuse_foreign(self) -> None:
        hint = "choose another --out, or empty it"
        if exists(self.out) and not is_folder(self.out):
            raise LpwError(self.out, "a file", "a folder to be made", hint)
        try:
            foreign = [p.name for p in list_folder(self.out)] if exists(self.out) else []
        except OSError as error:
            raise LpwError(self.out, describe_os_error(error), "a readable folder", hint) from error
        if foreign and LOCAL not in foreign and MANIFEST not in foreign:
            raise LpwError(
                self.out,
                f"a folder with other things ({foreign[0]})",
                "a new or empty folder",
                hint,
            )

    def _take_lock(self) -> None:
        try:
            self._lock = open_lock(self.local / "lock")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LpwError(
                self.out, "a build that runs in another process", "no other", "wait for it"
            ) from error
        except OSError as error:
            raise LpwError(
                self.out, describe_os_error(error), "a writable folder", "choose another --out"
            ) from error

    def hold_plan(self, plan: dict[str, Any], former: dict[str, Any] | None = None) -> None:
        """Binds the folder to `plan`: a new folder takes it, a resumed one must have the same.

        Args:
            former: the same plan as older versions wrote it.

        Errors: LpwError when the folder holds another plan, finished or not.
        """
        file = self.local / "plan.json"
        known, text = self._read_plan(file), _format_plan(plan)
        if known is not None and _format_plan(known) in (text, _format_plan(former or plan)):
            self.resumed = True
            return
        if self.is_complete or (known is not None and not self.restart):
            raise self._refuse_plan(known, plan, former or plan)
        if known is not None:
            self.clear()
        atomic_write_text(file, text)

    def _refuse_plan(
        self, known: dict[str, Any] | None, plan: dict[str, Any], former: dict[str, Any]
    ) -> LpwError:
        """The error that names what differs from the plan that the folder holds."""
        state = "a finished dataset" if self.is_complete else "an unfinished build"
        if known is None:
            got = f"{state} without a record of how it was built ({LOCAL}/plan.json)"
            return LpwError(self.out, got, "a new folder", "choose another --out")
        changes = min(
            (compare_plans(known, json.loads(_format_plan(one))) for one in (plan, former)),
            key=lambda one: one.n_changes,
        )
        got = f"{state} with other {changes.kinds} ({changes})"
        if not self.is_complete:
            hint = "run that command again, add --restart to throw it away, or choose another --out"
            return LpwError(self.out, got, f"the same {changes.kinds}", hint)
        if changes.added and not changes.missing:
            hint = f"--add-to {self.out} builds a new version with it, or choose another --out"
            return LpwError(self.out, got, f"the same {changes.kinds}", hint)
        return LpwError(self.out, got, "a new folder", "choose another --out")

    def _read_plan(self, file: Path) -> dict[str, Any] | None:
        expected, hint = "the plan of this build", "choose another --out, or empty it"
        try:
            plan = read_json(file) if exists(file) else None
        except (OSError, ValueError) as error:
            got = describe_os_error(error) if isinstance(error, OSError) else "a damaged file"
            raise LpwError(file, got, expected, hint) from error
        if plan is not None and not isinstance(plan, dict):
            raise LpwError(file, "a damaged file", expected, hint)
        return plan

    def clear(self) -> None:
        """Removes everything that an unfinished build made."""
        for name in ("images", "detections", "timeline"):
            remove_folder(self.out / name)
        remove_folder(self.local / "parts")

    def parts(self, name: str, key: str) -> Path:
        """The folder for the finished segments of one stage of one video; `key` binds it to all
        that made them."""
        return make_folder(self.local / "parts" / name / key[:16])

    def finish(self) -> None:
        """Removes the segments of a dataset that is complete."""
        remove_folder(self.local / "parts")


def _format_plan(plan: dict[str, Any]) -> str:
    return json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False)


def remember_root(dataset: Dataset, root: Path) -> Path:
    """Notes, for this user of this machine, where the videos of a dataset are. Errors: LpwError,
    OSError."""
    place = root.resolve()
    remember(dataset.root / LOCAL, "video_root", str(place), dataset.digest)
    return place


def recall_root(dataset: Dataset) -> Path | None:
    """Where the videos of a dataset were when this user built or located it; None where that is not
    known."""
    place = recall(dataset.root / LOCAL, "video_root", dataset.digest)
    return None if place is None else Path(place)


def locate_images(dataset: Dataset, folder: Path) -> Path:
    """Notes, for this user of this machine, where the images of a dataset that was imported in
    place are.

    Errors: LpwError for a dataset that holds its images itself, a folder without them, or where
    nothing can be noted; MismatchError for a damaged dataset.
    """
    if not dataset.is_in_place:
        hint = "leave --images out"
        raise LpwError(
            "option --images",
            f"{dataset.name}, which holds its images",
            "one imported in place",
            hint,
        )
    first = dataset.frames.slice(0, 1).select(["image", "sha256"]).to_pylist()
    try:
        data = [Folder(folder).read(row["image"]["path"], "image_bytes") for row in first]
    except OSError as error:
        raise LpwError(
            folder, describe_os_error(error), "the folder of the images", "name another one"
        ) from error
    if any(
        hashlib.sha256(found).digest() != row["sha256"]
        for found, row in zip(data, first, strict=True)
    ):
        raise LpwError(folder, "other images", f"those of {dataset.name}", "name another folder")
    place = os.path.realpath(folder)
    if not remember(dataset.root / LOCAL, "images_root", place, dataset.digest):
        got = "no place for a key: no home folder that can be written"
        raise LpwError(
            "configuration folder", got, "one that can be written", "set LPW_CONFIG to a folder"
        )
    return Path(place)
