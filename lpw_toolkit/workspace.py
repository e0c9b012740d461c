"""The folder in which a dataset is made: one process at a time, resumable, and never somebody else's.

OUT/.lpw/lock          held while a build runs
OUT/.lpw/plan.json     what is being built; the same plan goes on, another one is refused
OUT/.lpw/local.json    where the videos lie on this machine (no part of the dataset)
OUT/.lpw/parts/…       finished segments, removed when the dataset is complete
"""

import fcntl
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lpw_toolkit.dataset import LOCAL, MANIFEST, refuse_inside_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.faults import fault_point
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.writing import describe_os_error, make_folder, publish_text


class Workspace:
    """Context manager over an output folder.

    Args:
        out: the dataset to be.
        restart: throw away an unfinished build with other settings instead of refusing to go on.

    Errors: LpwError for a folder that holds other things, is in use by another process, or cannot be written.
    """

    def __init__(self, out: Path, *, restart: bool = False) -> None:
        self.out = out
        self.restart = restart
        self.local = out / LOCAL
        self.resumed = False
        self._lock: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the dataset is finished."""
        return (self.out / MANIFEST).is_file()

    def __enter__(self) -> Self:
        refuse_inside_dataset(self.out)
        self._refuse_foreign()
        make_folder(self.local)
        self._take_lock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _refuse_foreign(self) -> None:
        do = "choose another --out, or empty it"
        if self.out.exists() and not self.out.is_dir():
            raise LpwError(self.out, "a file", "a folder to be made", do)
        try:
            foreign = [p.name for p in list_folder(self.out)] if self.out.is_dir() else []
        except OSError as error:
            raise LpwError(self.out, describe_os_error(error), "a readable folder", do) from error
        if foreign and LOCAL not in foreign and MANIFEST not in foreign:
            raise LpwError(self.out, f"a folder with other things ({foreign[0]})", "a new or empty folder", do)

    def _take_lock(self) -> None:
        try:
            self._lock = os.open(self.local / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LpwError(self.out, "a build that runs in another process", "no other", "wait for it") from error
        except OSError as error:
            raise LpwError(self.out, describe_os_error(error), "a writable folder", "choose another --out") from error

    def hold_plan(self, plan: dict[str, Any]) -> None:
        """Binds the folder to `plan`: a new folder takes it, a resumed one must have the same.

        Errors: LpwError when the folder holds another plan, finished or not.
        """
        file = self.local / "plan.json"
        text = json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False)
        if file.is_file() and file.read_text("utf-8") == text:
            self.resumed = True
            return
        if self.is_complete:
            raise LpwError(self.out, "a finished dataset with other settings", "a new folder", "choose another --out")
        if file.is_file():
            if not self.restart:
                do = "run that command again, add --restart to throw it away, or choose another --out"
                raise LpwError(self.out, "an unfinished build with other settings", "the same settings", do)
            self.clear()
        publish_text(file, text)

    def clear(self) -> None:
        """Removes everything that an unfinished build made."""
        for name in ("images", "detections", "timeline"):
            shutil.rmtree(self.out / name, ignore_errors=True)
        shutil.rmtree(self.local / "parts", ignore_errors=True)

    def parts(self, name: str, key: str) -> Path:
        """The folder for the finished segments of one stage of one video; `key` binds it to all that made them."""
        return make_folder(self.local / "parts" / name / key[:16])

    def finish(self) -> None:
        """Removes the segments of a dataset that is complete."""
        fault_point("unlink")
        shutil.rmtree(self.local / "parts", ignore_errors=True)


def remember_root(local: Path, root: Path) -> None:
    """Notes, for this machine only, where the videos of a dataset lie."""
    publish_text(local / "local.json", json.dumps({"video_root": str(root.resolve())}, ensure_ascii=False))


def recall_root(dataset_root: Path) -> Path | None:
    """Where the videos of a dataset lay when it was built on this machine; None where that is not known."""
    file = dataset_root / LOCAL / "local.json"
    try:
        return Path(json.loads(file.read_text("utf-8"))["video_root"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
