"""What the fuzzer starts from, and how it spoils it: innocent folders and files, and changes drawn at random."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from make_reid import make_reid
from media import write_sequence
from sealing import seal_tables, write_manifest
from test_embed import make_model

from lpw_toolkit.benchmarks.reader import open_benchmark
from lpw_toolkit.embedding.embeddings import write_embeddings
from rqen.inference.run_vectors import ScoringOptions, embed_run
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.training.distributed import Share, Team
from rqen.training.job import Job
from rqen.training.train import train

Rng = np.random.Generator
SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32", "data.n_persons=4",
    "data.n_sets=2", "data.n_frames=2", "data.crop=2", "train.iterations=1", "train.precision=float32",
    "train.channels_last=no", "optim.warmup=0",
)  # fmt: skip
MAX_BYTES = 64 << 20
#: Texts that a name, a field or a cell may be replaced by.
TEXTS = (
    "", "\x1b]0;pwn\x07", "../../../etc/passwd", "/etc/passwd", "=cmd|' /C calc'!A0", "<script>alert(1)</script>",
    "a\nb", "\u202eabc", "-rf", "CON", "\0", "x" * 70_000, "\ud800", "\\input{/etc/passwd}", "NaN", "1e999",
)  # fmt: skip
NUMBERS = (0, -1, 1 << 31, 1 << 63, 10**30, 1e308, -1e308, float("nan"), float("inf"), 0.5, True, None)


def make_base(base: Path) -> None:
    """Writes every innocent thing once: d (dataset), run, model.onnx, raw, det.txt, seq, recipe.toml, weights.pt, …"""
    dataset = make_reid(base / "d")
    train(
        Job(dataset.root, base / "run", "rqen", read_recipe("modern", SMALL), n_workers=0),
        Team(Share(), torch.device("cpu")),
    )
    files = base / "files"
    files.mkdir()
    make_model(files / "model.onnx")
    found = embed_run(base / "run", dataset.root, ScoringOptions(n_workers=0))
    write_embeddings(
        files / "embeddings.parquet", dataset.tracklets["tracklet_id"].to_pylist(), found.vectors, found.facts
    )
    open_benchmark("lpw").write_fake(base / "raw", np.random.default_rng(0))
    (files / "det.txt").write_text("".join(f"{n},-1,{10 + n},10,20,50,0.9,-1,-1,-1\n" for n in range(1, 40)))
    for folder in (base, files):
        (folder / "recipe.toml").write_text(_write_recipe(), "utf-8")
    torch.save({"a": torch.zeros(3, 4), "b": torch.zeros(2)}, files / "weights.pt")
    write_sequence(base / "film" / "seq", range(12))


def _write_recipe() -> str:
    """The small recipe as a TOML file."""
    sections: dict[str, list[str]] = {}
    for section, values in read_recipe("modern", SMALL).values().items():
        if isinstance(values, dict):
            sections[section] = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join(line for name, lines in sections.items() for line in (f"[{name}]", *lines)) + "\n"


def mutate_bytes(path: Path, rng: Rng) -> None:
    """Flips, cuts, repeats, blanks or fills a part of a file."""
    data = bytearray(path.read_bytes())
    at = int(rng.integers(0, max(len(data), 1)))
    kind = rng.integers(0, 6)
    if kind == 0:
        for place in rng.integers(0, max(len(data), 1), 1 + int(rng.integers(0, 8))):
            data[place : place + 1] = bytes([int(rng.integers(0, 256))])
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        data[at:at] = data[at : at + int(rng.integers(1, 4096))] * int(rng.integers(1, 64))
    elif kind == 3:
        data[at : at + 64] = bytes(64)
    elif kind == 4:
        data += bytes(int(rng.integers(1, 1 << 20)))
    else:
        data[at : at + 8] = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1])).to_bytes(8, "little")
    replace(path, bytes(data))


def replace(path: Path, data: bytes) -> None:
    """Writes a new file in the place of `path`, which may be a second name of the innocent one."""
    path.unlink()
    path.write_bytes(data)


def mutate_kind(path: Path, rng: Rng, sentinel: Path) -> None:
    """Another kind of thing in the place of a file: a link, a pipe, a folder, a sparse file of 40 GB, or nothing."""
    path.unlink()
    kind = rng.integers(0, 7)
    if kind == 0:
        path.symlink_to(sentinel / "file")
    elif kind == 1:
        path.symlink_to("../" * int(rng.integers(0, 6)) + "outside/file")
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        path.mkdir()
    elif kind == 4:
        with path.open("wb") as file:
            file.truncate(40 << 30)
    elif kind == 5:
        path.touch()


def mutate_json(path: Path, rng: Rng) -> None:
    """Another value somewhere in a JSON file, or in one line of a log; the digest of dataset.json then fits again."""
    text = path.read_text("utf-8", "replace")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    row = int(rng.integers(0, len(lines))) if lines else 0
    try:
        held = json.loads(lines[row])
    except (ValueError, IndexError):
        return
    change_value(held, rng)
    lines[row] = json.dumps(held)
    if path.name == "run.json" and isinstance(held, dict) and rng.random() < 0.8:
        path.unlink()
        seal_run(path.parent, held)
    elif path.name == "dataset.json" and isinstance(held, dict) and rng.random() < 0.7:
        path.unlink()
        write_manifest(path.parent, held)
    else:
        replace(path, ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))


def seal_run(run: Path, facts: dict[str, Any]) -> None:
    """Writes run.json so that it and the weights vouch for each other: what a stranger can do, who trains as we do."""
    facts = json.loads(json.dumps(facts))
    facts["digest"] = run_folder.digest_settings(facts)
    data = (run / run_folder.MODEL).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] |= {"digest": facts["digest"], "run_sha256": run_folder.digest_run(facts)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = len(text).to_bytes(8, "little") + text + data[8 + size :]
    (run / run_folder.MODEL).write_bytes(data)
    facts["model_sha256"] = hashlib.sha256(data).hexdigest()
    (run / run_folder.RUN).write_text(json.dumps(facts))


def change_value(held: Any, rng: Rng) -> None:
    """Changes one value at a random depth of a list or dictionary."""
    while True:
        keys = list(held) if isinstance(held, dict) else list(range(len(held)))
        if not keys:
            return
        key = keys[int(rng.integers(0, len(keys)))]
        inner = held[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            held = inner
            continue
        kind = rng.integers(0, 5)
        if kind == 0 and isinstance(held, dict):
            del held[key]
        elif kind == 1:
            held[key] = TEXTS[int(rng.integers(0, len(TEXTS)))]
        elif kind == 2:
            held[key] = NUMBERS[int(rng.integers(0, len(NUMBERS)))]
        elif kind == 3:
            held[key] = [inner] * int(rng.choice([0, 2, 1000]))
        else:
            held[key] = {"a": inner}
        return


def mutate_table(path: Path, rng: Rng) -> None:
    """Another value, type or number of rows in a Parquet file; mostly with a manifest that vouches for it."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):
        return
    column = int(rng.integers(0, table.num_columns))
    field = table.schema.field(column)
    values = table[column].to_pylist()
    for _ in range(int(rng.integers(1, 4))):
        if values:
            pool = TEXTS if pa.types.is_string(field.type) else NUMBERS
            values[int(rng.integers(0, len(values)))] = pool[int(rng.integers(0, len(pool)))]
    try:
        changed = table.set_column(column, field, pa.array(values, field.type))
    except (pa.ArrowException, OverflowError, TypeError, ValueError, UnicodeError):
        changed = table.drop_columns([field.name]) if rng.random() < 0.5 else table.slice(0, table.num_rows // 2)
    if rng.random() < 0.1:
        changed = pa.concat_tables([changed] * 3)
    path.unlink()
    pq.write_table(changed, path, compression=str(rng.choice(["zstd", "snappy", "none"])))
    root = next((parent for parent in path.parents if (parent / "dataset.json").is_file()), None)
    if root is not None and rng.random() < 0.8:
        name = path.relative_to(root).as_posix()
        if name in json.loads((root / "dataset.json").read_text("utf-8"))["tables"]:
            seal_tables(root, name)


def spoil(folder: Path, rng: Rng, sentinel: Path) -> list[str]:
    """Changes one to three files below `folder`; what was changed, and how."""
    done = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        files = sorted(
            file
            for file in folder.rglob("*")
            if file.is_file() and not file.is_symlink() and file.stat().st_size < MAX_BYTES  # not sparse by now
        )
        if not files:
            break
        weights = np.array([1.0 if file.suffix in (".jpg", ".png") else 6.0 for file in files])
        file = files[int(rng.choice(len(files), p=weights / weights.sum()))]
        fitting: list[Callable[[Path, Rng], None]] = [mutate_bytes]
        fitting += [mutate_json] * 3 if file.suffix in (".json", ".jsonl") else []
        fitting += [mutate_table] * 3 if file.suffix == ".parquet" else []
        if rng.random() < 0.12:
            mutate_kind(file, rng, sentinel)
            done.append(f"{file.relative_to(folder)}: kind")
        else:
            change = fitting[int(rng.integers(0, len(fitting)))]
            with suppress(ValueError, KeyError, TypeError, OSError):  # its manifest may be spoiled already
                change(file, rng)
            done.append(f"{file.relative_to(folder)}: {change.__name__}")
    return done
