"""`runs/latest`: a text that names the newest finished run, relative to `runs/`. The time of a file
says nothing."""

import os
from pathlib import Path

from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.opening import exists, follow_links, is_file, read_bytes
from lpw_toolkit.files.writing import atomic_write, describe_os_error, make_folder

RUNS, LATEST = "runs", "latest"


def runs_folder() -> Path:
    """Where the runs of the working folder are kept: in `runs/`; beside it where it is a dataset,
    which never changes."""
    here = Path.cwd()
    return follow_links(here.parent / RUNS if is_file(here / MANIFEST) else Path(RUNS))


def name_latest(run: Path, runs: Path) -> None:
    """Notes in the folder `runs` that `run` is the newest finished run.

    A run that lies elsewhere than in the folder that holds `runs` is noted only where an older one
    would be taken for the newest otherwise.

    Errors: LpwError, OSError.
    """
    is_here = run.absolute().is_relative_to(runs.absolute().parent)
    if is_here or exists(runs / LATEST):
        name = os.path.relpath(run.absolute(), runs.absolute())
        atomic_write(make_folder(runs) / LATEST, os.fsencode(name) + b"\n")


def find_latest(runs: Path) -> Path:
    """The newest finished run, as `runs/latest` names it.

    Errors: LpwError where no run is named, or one outside of the folder that holds `runs`;
    MismatchError for a file that cannot be read.
    """
    from rqen.run.run_folder import RUN  # imports PyTorch, which whoever asks for no run needs not

    file = runs / LATEST
    if not exists(file):
        raise LpwError(
            "run",
            f"none: there is no {RUNS}/{LATEST}",
            "a run that `lpw train` has finished",
            "train one with `lpw train rqen`, or name the folder of a run",
        )
    try:
        name = os.fsdecode(read_bytes(file, "line_bytes").removesuffix(b"\n"))
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), "the name of a run", "name the folder of a run"
        ) from error
    home = runs.absolute().parent
    run = home if "\0" in name else Path(os.path.normpath(runs.absolute() / name))
    if run == home or not run.is_relative_to(home):
        raise LpwError(
            file, f"the run {name!r:.200}", "a run in this folder", "name the folder of the run"
        )
    if not is_file(run / RUN):
        raise LpwError(
            file,
            f"the run {name!r:.200}, which is not there",
            "a run that `lpw train` has finished",
            "train again, or name the folder of a run",
        )
    return run
