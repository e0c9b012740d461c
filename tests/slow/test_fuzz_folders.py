"""A fuzzer of all that a stranger may send: datasets, runs, logs, tables, pictures, texts, models;
15 minutes.

    pytest tests/slow/test_fuzz_folders.py -m slow -n 0 [LPW_FUZZ_SECONDS=900] [LPW_FUZZ_SEED=0]

Each case copies innocent folders, spoils one to three files, and runs one command in a forked
process. A traceback, an exit code that no user error has, a change in a watched folder outside,
more than 2 GB of memory, or no end within two minutes is a failure; its seed and folder are named.
Sixty cases run at least, however slow the machine.
"""

import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch")
from fuzz_cases import spoil

pytestmark = pytest.mark.slow
MAX_PEAK_KIB = 2 << 20
MAX_SECONDS = 120
MIN_CASES = 60
#: What is spoiled, and a command that reads it; `P` is the folder of the case.
COMMANDS = [
    ("d", "check P/d"), ("d", "check P/d --no-images"), ("d", "info P/d"), ("d", "pack P/d"),
    ("d", "show P/d --out P/o"), ("d", "clean P/d --status"), ("d", "clean P/d --replay"),
    ("d", "clean P/d --suggest --looks 4"),
    ("d", "clean P/d --auto duplicate"), ("d", "clean P/d --apply P/o --unreviewed keep"),
    ("d", "export P/d P/o --to tree"), ("d", "export P/d P/o --to torchreid"),
    ("d", "export P/d P/o --to coco"),
    ("d", "export P/d P/o --to hf"), ("d", "export P/d P/o --to webdataset"),
    ("d", "embed P/run --data P/d --out P/o.parquet"),
    ("d", "eval P/run --data P/d --protocol market"),
    ("d", "train rqen --data P/d --recipe P/recipe.toml --out P/o --workers 0"),
    ("run", "eval P/run --data P/d --protocol market"),
    ("run", "embed P/run --data P/d --out P/o.parquet"),
    ("run", "train rqen --data P/d --recipe P/recipe.toml --out P/run --resume --workers 0"),
    ("files/model.onnx", "embed --onnx P/files/model.onnx --data P/d --out P/o.parquet"),
    ("files/embeddings.parquet", ("eval --embeddings P/files/embeddings.parquet --data P/d "
                                 "--protocol market")),
    ("files/det.txt", "link P/files/det.txt --fps 25 --out P/o.txt"),
    ("files/recipe.toml", ("train rqen --data P/d --recipe P/files/recipe.toml --out P/o --workers "
                          "0")),
    ("files/weights.pt", ("train rqen --data P/d --weights P/files/weights.pt --recipe "
                         "P/recipe.toml --out P/o")),
    ("raw", "import lpw P/raw --out P/o --allow-partial"),
    ("film", "build-tracklets P/film --out P/o --boxes P/files/det.txt"),
]  # fmt: skip


class Outcome(NamedTuple):
    """How a command ended: exit code (negative: signal), peak memory, and what it said."""

    code: int
    peak_kib: int
    said: str


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("base")
    code = (
        "import sys; from pathlib import Path; from fuzz_cases import make_base; "
        "make_base(Path(sys.argv[1]))"
    )
    here = Path(__file__).resolve().parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (here.parent / "fixtures", here.parents[1]))),
    }
    command = [
        sys.executable,
        "-c",
        code,
        str(base),
    ]  # in a process of its own: this one forks, so it starts no thread
    subprocess.run(command, env=environment, cwd=here.parents[1], check=True)
    return base


def load_everything() -> None:
    """Imports in this process what commands import, so that a forked child need not; starts no
    thread."""
    from lpw_cli.main import COMMANDS as NAMES

    for name in NAMES:
        importlib.import_module(
            f"lpw_cli.{'import_benchmark' if name == 'import' else name.replace('-', '_')}"
        )
    for name in (
        "torch",
        "cv2",
        "pyarrow.parquet",
        "onnxruntime",
        "openvino",
        "rqen.training.train",
        "rqen.inference.run_vectors",
        "PIL.Image",
    ):
        importlib.import_module(name)


def run(arguments: list[str], folder: Path, said: Path) -> Outcome:
    """Runs `lpw` in a forked process that ends after two minutes at most."""
    child = os.fork()
    if child == 0:
        try:
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for number in (1, 2):
                os.dup2(descriptor, number)
            sys.stdout = sys.stderr = os.fdopen(
                2, "w", buffering=1, errors="backslashreplace", closefd=False
            )
            os.chdir(folder)
            signal.alarm(MAX_SECONDS)
            sys.argv = ["lpw", *arguments]
            from lpw_cli.main import run as run_lpw

            run_lpw()
        except SystemExit as ended:
            os._exit(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    return Outcome(
        os.waitstatus_to_exitcode(status), usage.ru_maxrss, said.read_text("utf-8", "replace")
    )


def state_of(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def judge(outcome: Outcome) -> str | None:
    """What is wrong with the end of a command; None for an end that a user may see."""
    if outcome.code not in (0, 2, 3, 4):
        return f"ended with {outcome.code}"
    if "Traceback" in outcome.said:
        return "a traceback"
    if outcome.peak_kib > MAX_PEAK_KIB:
        return f"{outcome.peak_kib} KiB"
    if "\x1b" in outcome.said or "\u202e" in outcome.said:
        return "an escape sequence on the terminal"
    return None


def run_case(seed: int, base: Path, place: Path) -> list[str]:
    """Spoils one thing and runs one command; what went wrong."""
    rng = np.random.default_rng(seed)
    what, line = COMMANDS[int(rng.integers(0, len(COMMANDS)))]
    shutil.copytree(base, place)
    outside = place.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "file").write_text("precious\n")
    before = state_of(outside)
    target = place / what
    if target.is_file():
        (place / "alone").mkdir()
        shutil.move(target, place / "alone" / target.name)
        done = spoil(place / "alone", rng, outside)
        if (moved := place / "alone" / target.name).is_symlink() or moved.exists():
            moved.rename(target)
    else:
        done = spoil(target, rng, outside)
    arguments = [word.replace("P/", f"{place}/") for word in line.split()]
    outcome = run(arguments, place, place.parent / "said.txt")
    faults = [fault] if (fault := judge(outcome)) else []
    faults += ["a file outside was changed"] if state_of(outside) != before else []
    return [
        f"seed {seed}: lpw {line}: {'; '.join(done)}: {fault}\n{outcome.said[-1500:]}"
        for fault in faults
    ]


def test_no_spoiled_folder_harms(base: Path, tmp_path: Path) -> None:
    load_everything()
    started, seconds = time.monotonic(), float(os.environ.get("LPW_FUZZ_SECONDS", "900"))
    seed = first = int(os.environ.get("LPW_FUZZ_SEED", "0")) * 1_000_000
    faults: list[str] = []
    while time.monotonic() - started < seconds or seed - first < MIN_CASES:
        place = tmp_path / "case"
        found = run_case(seed, base, place)
        if found:
            shutil.move(place, tmp_path / f"kept-{seed}")
        else:
            shutil.rmtree(place)
        faults += found
        seed += 1
    print(f"{seed - first} cases in {time.monotonic() - started:.0f} s, {len(faults)} faults")
    assert faults == [], f"{len(faults)} of {seed - first} cases:\n" + "\n".join(faults[:20])
