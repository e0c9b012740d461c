"""A review page at work in a browser: a server in a thread that can be stopped, and a hand on the keyboard."""

import hashlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from chromium import Browser

from lpw_toolkit.cleaning.state.review import open_review
from lpw_toolkit.cleaning.suggest.suggest import FOLDER
from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import Dataset, close_dataset
from lpw_toolkit.fakes import draw_colours, draw_figure
from lpw_toolkit.files import writing
from lpw_toolkit.review_page.desk import Desk
from lpw_toolkit.review_page.guard import Keys
from lpw_toolkit.review_page.hints import read_hints
from lpw_toolkit.review_page.server import ServeOptions, listen, make_app

SHIFT = 8
KEY_NAMES = {"Space": " "}


def find_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Served:
    """One reviewer's server; `stop` and `start` again as a restart does, on the same port."""

    def __init__(self, dataset: Dataset, state: Path, reviewer: str = "anna") -> None:
        self.dataset, self.state, self.reviewer = dataset, state, reviewer
        self.port = find_port()  # not the usual one of this dataset: another test may serve it at the same time
        self.keys = Keys()

    def start(self, *, fresh_token: bool = False) -> None:
        import uvicorn

        self.keys = Keys() if fresh_token else self.keys
        self.review = open_review(self.dataset, self.reviewer, self.state)
        listener = listen(ServeOptions(self.reviewer, self.port), self.review.base.digest)
        self.port = listener.getsockname()[1]
        app = make_app(Desk(self.dataset, self.review, read_hints(self.dataset)), self.port, self.keys)
        config = uvicorn.Config(app, log_level="error", ws="none", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join()
            self.review.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={self.keys.token}"

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        file = self.state / "cleanup" / f"{self.reviewer}.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    def operations(self) -> list[str]:
        return [line["operation"] for line in self.lines()]

    def wait_for(self, n_lines: int) -> list[dict[str, Any]]:
        end = time.monotonic() + 30
        while len(self.lines()) < n_lines:
            assert time.monotonic() < end, f"{len(self.lines())} of {n_lines} lines"
            time.sleep(0.02)
        return self.lines()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Hand(Browser):
    """A browser with a hand on its keyboard, and tabs."""

    def press(self, key: str) -> None:
        """Presses a key by its name on the page: `D` is Shift and d, `Shift+ArrowLeft` is what it says."""
        shift = key.startswith("Shift+") or (len(key) == 1 and (key.isupper() or key in '?!"'))
        name = key.removeprefix("Shift+")
        name = KEY_NAMES.get(name, name)
        text = {"text": name} if len(name) == 1 else {"text": "\r"} if name == "Enter" else {}
        modifiers = SHIFT if shift else 0
        self.send("Input.dispatchKeyEvent", type="keyDown", key=name, modifiers=modifiers, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=name, modifiers=modifiers)

    def type(self, *keys: str) -> None:
        for key in keys:
            self.press(key)

    def accept(self, n: int) -> None:
        """Accepts `n` tracklets, each once it is shown: what is not seen cannot be accepted."""
        for _ in range(n):
            self.wait_seen()
            self.press("Space")

    def wait_seen(self) -> None:
        """Waits until a tracklet is shown, not only named."""
        self.wait_for("document.querySelector('#pieces .piece') !== null")

    def wait_ahead(self, n: int) -> None:
        """Waits until the next `n` tracklets are loaded."""
        self.wait_for(f"Number(document.body.dataset.ahead) >= {n}")

    def add_tab(self) -> str:
        """Opens another tab and turns to it; returns the name of the one before."""
        before, self._session = self._session, None
        page = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=1280, height=720, deviceScaleFactor=1, mobile=False)
        return str(before)

    def turn_to(self, tab: str) -> str:
        """Turns to a tab; returns the name of the one before."""
        before, self._session = self._session, tab
        self.send("Page.bringToFront")
        return str(before)

    def review(self, address: str, *, dark: bool = False) -> None:
        """Opens the page and waits for the first tracklet."""
        self.open(address, dark=dark)
        self.wait_for_tracklet()

    def wait_for_tracklet(self) -> None:
        self.wait_for("document.querySelectorAll('.tile').length > 0 && document.getElementById('saved').textContent")

    def wait_saved(self) -> None:
        self.wait_for("document.getElementById('saved')?.textContent === 'saved'")

    def text(self, name: str) -> str:
        return str(self.ask(f"document.getElementById('{name}').textContent"))


def make_many(root: Path, n_tracklets: int, n_frames: int = 3) -> Dataset:
    """A dataset of many tracklets that share a few drawn pictures, with made suggestions; two cameras."""
    rng = np.random.default_rng(0)
    writing.make_folder(root / "images")
    pictures = []
    for i in range(8):
        data = draw_figure(draw_colours(rng), rng)
        writing.write_file(root / "images" / f"{i}.png", data)
        pictures.append((f"images/{i}.png", hashlib.sha256(data).digest()))
    names = [f"s/c{i % 2}/{i // 2:06d}" for i in range(n_tracklets)]
    names.sort()
    n = n_tracklets * n_frames
    nothing = {field.name: pa.nulls(n, field.type) for field in schema.FRAMES}
    chosen = [pictures[i % 8] for i in range(n_tracklets) for _ in range(n_frames)]
    frames = nothing | {
        "tracklet_id": pa.array([name for name in names for _ in range(n_frames)]),
        "position": pa.array(np.tile(np.arange(n_frames, dtype=np.int32), n_tracklets)),
        "image": pa.array([{"bytes": None, "path": path} for path, _ in chosen], schema.FRAMES.field("image").type),
        "width": pa.array(np.full(n, 64, np.int16)),
        "height": pa.array(np.full(n, 128, np.int16)),
        "sha256": pa.array([sha256 for _, sha256 in chosen], schema.FRAMES.field("sha256").type),
    }
    cameras = [name.rsplit("/", 1)[0] for name in names]
    lengths = pa.array(np.full(n_tracklets, n_frames, np.int32))
    tracklets = {field.name: pa.nulls(n_tracklets, field.type) for field in schema.TRACKLETS}
    tracklets |= {
        "tracklet_id": pa.array(names),
        "scene_id": pa.array(["s"] * n_tracklets),
        "camera_id": pa.array(cameras),
        "kind": pa.array(["person"] * n_tracklets),
        "n_frames": lengths,
    }
    for file, columns, kind in (("frames", frames, schema.FRAMES), ("tracklets", tracklets, schema.TRACKLETS)):
        table = pa.Table.from_arrays([columns[name] for name in kind.names], schema=kind)
        tables.write_table(root / f"{file}.parquet", table, kind)
    dataset = close_dataset(root, {"name": "many", "parent": None, "sources": [], "settings": {}})
    columns = {field.name: pa.nulls(n_tracklets, field.type) for field in schema.SUGGESTIONS}
    columns |= {
        "tracklet_id": pa.array(names),
        "camera_id": pa.array(cameras),
        "n_frames": lengths,
        "reason": pa.array(["sharp_change"] * n_tracklets),
        "score": pa.array(rng.random(n_tracklets).astype(np.float32)),
    }
    table = pa.Table.from_arrays([columns[name] for name in schema.SUGGESTIONS.names], schema=schema.SUGGESTIONS)
    facts = {**(table.schema.metadata or {}), b"lpw_dataset_digest": str(dataset.manifest["digest"]).encode()}
    writing.make_folder(root / FOLDER)
    tables.write_table(root / FOLDER / "suggestions.parquet", table.replace_schema_metadata(facts), schema.SUGGESTIONS)
    return dataset
