"""`lpw embed`: vectors against a plain reference, settings that move them, what the file says,
damage, odd models."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from embedder import make_model
from lpw_cli.embed import command
from make_dataset import make_dataset
from tiny_models import field, model, node, port, tensor

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset, sha256_file
from lpw_toolkit.dataset.pack import write_pack
from lpw_toolkit.embedding.embeddings import read_embeddings
from lpw_toolkit.embedding.onnx_embed import embed_dataset, iter_vectors
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, open_embedder
from lpw_toolkit.errors import CorruptCropError, LpwError
from lpw_toolkit.files import faults, writing
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.networks import runtimes

PLAIN: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "little"
    make_dataset(root, n_tracklets=6, n_frames=5)
    return root


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "halves.onnx")


def embed(root: Path, onnx: Path, out: Path, **options: Any) -> pa.Table:
    chosen = EmbedOptions(**{**PLAIN, **options})
    embed_dataset(open_index(root), open_embedder(onnx, chosen), out, chosen)
    return pq.read_table(out)


def vectors_of(table: pa.Table) -> np.ndarray:
    return np.array(table["embedding"].to_pylist(), dtype=np.float32)


def reference(dataset: Dataset, *, mirrored: bool = False) -> dict[str, list[np.ndarray]]:
    """For each tracklet the vectors of its frames, computed the plain way."""
    found: dict[str, list[np.ndarray]] = {}
    for row in dataset.frames.to_pylist():
        image = cv2.imread(str(dataset.root / row["image"]["path"]))[..., ::-1] / 255.0
        image = image[:, ::-1] if mirrored else image
        found.setdefault(row["tracklet_id"], []).append(image[:, ::2].mean(axis=(0, 1)))
    return found


RUNTIMES = ("openvino", "onnxruntime")


class TestVectors:
    @pytest.mark.parametrize("runtime", RUNTIMES)
    @pytest.mark.parametrize("pooling", ["mean", "max"])
    def test_every_tracklet_in_order(
        self, made: Path, network: Path, tmp_path: Path, runtime: str, pooling: str
    ) -> None:
        table = embed(
            made, network, tmp_path / "e.parquet", runtime=runtime, pooling=pooling, batch_size=4
        )
        plain = reference(open_dataset(made))
        wanted = [getattr(np, pooling)(frames, axis=0) for frames in plain.values()]
        assert table["tracklet_id"].to_pylist() == list(plain)
        assert np.abs(vectors_of(table) - np.array(wanted)).max() < 1e-5

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_mean_std_and_channel_order(
        self, made: Path, network: Path, tmp_path: Path, runtime: str
    ) -> None:
        mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
        plain = np.array(
            [np.mean(frames, axis=0) for frames in reference(open_dataset(made)).values()]
        )
        wanted = (plain - mean) / std
        for bgr in (False, True):
            table = embed(
                made, network, tmp_path / "e.parquet", runtime=runtime, mean=mean, std=std, bgr=bgr
            )
            assert np.abs(vectors_of(table) - (wanted[:, ::-1] if bgr else wanted)).max() < 1e-5

    def test_flip_is_the_mean_of_both(self, made: Path, network: Path, tmp_path: Path) -> None:
        dataset = open_dataset(made)
        plain, mirrored = reference(dataset), reference(dataset, mirrored=True)
        both = [np.max((np.array(plain[i]) + np.array(mirrored[i])) / 2, axis=0) for i in plain]
        table = embed(made, network, tmp_path / "e.parquet", flip=True, pooling="max", batch_size=3)
        assert np.abs(vectors_of(table) - np.array(both)).max() < 1e-5

    def test_frames_are_evenly_spaced(self, made: Path, network: Path, tmp_path: Path) -> None:
        table = embed(made, network, tmp_path / "e.parquet", frames=2)
        wanted = [
            np.mean([frames[(2 * i + 1) * len(frames) // 4] for i in range(2)], axis=0)
            for frames in reference(open_dataset(made)).values()
        ]
        assert np.abs(vectors_of(table) - np.array(wanted)).max() < 1e-5

    def test_a_row_for_each_frame(self, made: Path, network: Path, tmp_path: Path) -> None:
        dataset = open_dataset(made)
        table = embed(made, network, tmp_path / "e.parquet", per_frame=True)
        frames = dataset.frames
        assert table["tracklet_id"].equals(frames["tracklet_id"]) and table["position"].equals(
            frames["position"]
        )
        wanted = np.concatenate(list(reference(dataset).values()))
        assert np.abs(vectors_of(table) - wanted).max() < 1e-5
        pooled = read_embeddings(tmp_path / "e.parquet", dataset, pooling="mean").vectors
        direct = vectors_of(embed(made, network, tmp_path / "d.parquet"))
        assert np.abs(pooled - direct).max() < 1e-6

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_batches_threads_and_source_change_no_bit(
        self, made: Path, network: Path, tmp_path: Path, runtime: str
    ) -> None:
        packed = tmp_path / "packed"
        shutil.copytree(made, packed)
        write_pack(open_dataset(packed))
        wanted = vectors_of(embed(made, network, tmp_path / "e.parquet", runtime=runtime))
        for root, threads in ((made, 1), (packed, 2)):
            found = embed(root, network, tmp_path / "f.parquet", runtime=runtime, threads=threads)
            assert np.array_equal(vectors_of(found), wanted)

    def test_a_fixed_batch_and_an_answer_of_four_sides(self, made: Path, tmp_path: Path) -> None:
        fixed = make_model(tmp_path / "fixed.onnx", batch=2, flat=False)
        table = embed(made, fixed, tmp_path / "e.parquet")
        wanted = [np.mean(frames, axis=0) for frames in reference(open_dataset(made)).values()]
        assert np.abs(vectors_of(table) - np.array(wanted)).max() < 1e-5
        assert open_embedder(fixed, EmbedOptions()).batch_size == 2

    def test_an_open_size_is_asked_for(self, made: Path, tmp_path: Path) -> None:
        open_sided = make_model(tmp_path / "open.onnx", sides=["h", "w"])
        with pytest.raises(LpwError, match="add --size"):
            open_embedder(open_sided, EmbedOptions())
        embedder = open_embedder(open_sided, EmbedOptions(size_px=(16, 8)))
        assert embedder.size_px == (16, 8) and embedder.dimension == 3

    def test_stopping_early_leaves_nothing_at_work(self, made: Path, network: Path) -> None:
        embedder = open_embedder(network, EmbedOptions(batch_size=2))
        vectors = iter_vectors(open_index(made).images, range(30), embedder)
        first = next(vectors)
        vectors.close()
        again = iter_vectors(open_index(made).images, range(30), embedder)
        assert first[0] == 0 and np.array_equal(next(again)[1], first[1]) and len(list(again)) == 29


class TestFile:
    def test_it_says_where_it_comes_from(self, made: Path, network: Path, tmp_path: Path) -> None:
        embed(made, network, tmp_path / "e.parquet", frames=3)
        found = read_embeddings(tmp_path / "e.parquet", open_dataset(made))
        assert found.present.all() and found.notes == []
        assert found.facts.model == "halves" and found.facts.checkpoint_sha256 == sha256_file(
            network
        )
        assert found.facts.dataset_digest == open_dataset(made).manifest["digest"]
        assert found.facts.frames_used == "at most 3, evenly spaced, pooled by mean"
        settings = json.loads(pq.read_schema(tmp_path / "e.parquet").metadata[b"lpw_settings"])
        assert settings["size_px"] == [64, 32] and settings["precision"] == "float32"

    def test_twice_gives_the_same_bytes(self, made: Path, network: Path, tmp_path: Path) -> None:
        for name in ("a", "b"):
            embed(made, network, tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_rows_are_written_as_they_come(
        self, made: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lpw_toolkit.embedding.onnx_embed._ROWS_AT_ONCE", 7)
        table = embed(made, network, tmp_path / "e.parquet", per_frame=True)
        groups = pq.read_metadata(tmp_path / "e.parquet").num_row_groups
        assert groups == -(-table.num_rows // 7)

    @pytest.mark.parametrize(
        "fault", ["write:1:ENOSPC", "write:2:ENOSPC", "fsync:1:EIO", "rename:1:EACCES"]
    )
    def test_a_full_disk_leaves_nothing(
        self, made: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        faults._hits.clear()
        monkeypatch.setenv("LPW_FAULT", fault)
        with pytest.raises(LpwError, match=r"e\.parquet: got"):
            embed(made, network, tmp_path / "e.parquet")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("place", ["missing/e.parquet", "folder", "inside"])
    def test_places_that_cannot_be_written(
        self, made: Path, network: Path, tmp_path: Path, place: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        out = made / "e.parquet" if place == "inside" else tmp_path / place
        with pytest.raises(LpwError):
            embed(made, network, out)
        assert not out.is_file()


class TestDamage:
    @pytest.mark.parametrize("kind", ["flip", "gone", "empty"])
    def test_a_corrupt_image_is_named_and_nothing_is_left(
        self, made: Path, network: Path, tmp_path: Path, kind: str
    ) -> None:
        root = tmp_path / "little"
        shutil.copytree(made, root)
        path = open_dataset(root).frames["image"][17]["path"].as_py()
        data = bytearray((root / path).read_bytes())
        data[len(data) // 2] ^= 1
        (root / path).write_bytes(data if kind == "flip" else b"")
        if kind == "gone":
            (root / path).unlink()
        (tmp_path / "e.parquet").write_bytes(b"from before")
        with pytest.raises(CorruptCropError, match=path):
            embed(root, network, tmp_path / "e.parquet")
        assert (tmp_path / "e.parquet").read_bytes() == b"from before" and not list(
            tmp_path.glob("*~")
        )

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_an_answer_that_is_not_finite_names_its_image(
        self, made: Path, tmp_path: Path, runtime: str
    ) -> None:
        """The logarithm of a black image."""
        root = tmp_path / "little"
        shutil.copytree(made, root)
        dataset = open_dataset(root)
        rows = dataset.frames.to_pylist()
        data = cv2.imencode(".png", np.zeros((64, 32, 3), np.uint8))[1].tobytes()

        rows[9]["image"]["path"] = "images/black.png"
        rows[9]["sha256"] = hashlib.sha256(data).digest()
        (root / "images" / "black.png").write_bytes(data)
        frames = pa.Table.from_pylist(rows, schema=schema.FRAMES)
        tables.write_table(root / "frames.parquet", frames, schema.FRAMES, group_by="tracklet_id")
        close_dataset(root, {"name": "black"})
        logarithm = make_model(tmp_path / "log.onnx", middle=("Log",))
        with pytest.raises(LpwError, match=r"log\.onnx: got NaN or infinity for images/black\.png"):
            embed(root, logarithm, tmp_path / "e.parquet", runtime=runtime)
        assert not (tmp_path / "e.parquet").exists()


def make_odd(kind: str) -> bytes:
    nodes = [node("GlobalAveragePool", ["images"], "v0"), node("Flatten", ["v0"], "output")]
    given, answer, more = port("images", ["n", 3, 64, 32]), port("output", ["n", 3]), b""
    if kind == "rank":
        given = port("images", ["n", 3, 64])
    elif kind == "grey":
        given = port("images", ["n", 1, 64, 32])
    elif kind == "two inputs":
        nodes[0] = node("Add", ["images", "more"], "sum")
        nodes.insert(1, node("GlobalAveragePool", ["sum"], "v0"))
        more = field(11, port("more", ["n", 3, 64, 32]))
    elif kind == "two outputs":
        more = field(12, port("v0", ["n", 3, 1, 1]))
    elif kind == "map":
        nodes, answer = [node("Identity", ["images"], "output")], port("output", ["n", 3, 64, 32])
    elif kind == "merged":
        nodes[1] = node("Flatten", ["v0"], "output", field(1, "axis") + field(3, 0) + field(20, 2))
    elif kind == "nan":
        nodes = [
            *nodes[:1],
            node("Sub", ["v0", "v0"], "v1"),
            node("Log", ["v1"], "v2"),
            node("Flatten", ["v2"], "output"),
        ]
    return model(nodes, [], given, answer) + (
        field(7, more) if more else b""
    )  # graphs that come twice are merged


class TestModels:
    @pytest.mark.parametrize("runtime", RUNTIMES)
    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("rank", "inputs .x3x64; expected one input Nx3xHxW"),
            ("grey", "expected one input Nx3xHxW"),
            ("two inputs", "expected one input"),
            ("two outputs", "2 outputs .*; expected one output NxD"),
            ("map", "an answer of 8x3x64x32 to 8 images"),
            ("merged", "an answer of 1x24 to 8 images"), ("nan", "NaN or infinite answers"),
        ],
    )  # fmt: skip
    def test_what_is_no_embedding_is_refused(
        self, tmp_path: Path, runtime: str, kind: str, message: str
    ) -> None:
        (tmp_path / "odd.onnx").write_bytes(make_odd(kind))
        with pytest.raises(LpwError, match=message) as caught:
            open_embedder(tmp_path / "odd.onnx", EmbedOptions(runtime=runtime))
        assert "\n" not in str(caught.value) and "odd.onnx" in str(caught.value)

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_what_is_no_model_is_refused(self, network: Path, tmp_path: Path, runtime: str) -> None:
        whole = network.read_bytes()
        texts = {"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2]}
        for name, data in texts.items():
            (tmp_path / name).write_bytes(data)
        (tmp_path / "folder").mkdir()
        for name in (*texts, "folder", "missing"):
            with pytest.raises(LpwError) as caught:
                open_embedder(tmp_path / name, EmbedOptions(runtime=runtime))
            assert "\n" not in str(caught.value) and name in str(caught.value)

    def test_weights_elsewhere_are_not_followed(self, tmp_path: Path) -> None:
        outside = field(
            5, tensor("w", np.zeros(3, np.float32)) + field(14, 1) + field(13, field(1, "location"))
        )
        data = make_odd("plain")
        (tmp_path / "external.onnx").write_bytes(data + field(7, outside))
        with pytest.raises(LpwError, match="external data"):
            open_embedder(tmp_path / "external.onnx", EmbedOptions())

    def test_a_size_that_the_model_does_not_have(self, network: Path) -> None:
        with pytest.raises(
            LpwError, match=r"--size: got 32x32; expected the 64x32 of halves\.onnx"
        ):
            open_embedder(network, EmbedOptions(size_px=(32, 32)))

    def test_a_missing_runtime_says_what_to_install(
        self, network: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
        with pytest.raises(
            LpwError, match=r'no package onnxruntime.*pip install "lpw-toolkit\[onnx\]"'
        ):
            open_embedder(network, EmbedOptions())

    @pytest.mark.parametrize(
        "options",
        [
            {"frames": 0},
            {"batch_size": 0},
            {"threads": 0},
            {"std": (1.0, 0.0, 1.0)},
            {"mean": (np.nan, 0, 0)},
            {"size_px": (0, 8)},
        ],
    )
    def test_options_out_of_range(self, options: dict[str, Any]) -> None:
        with pytest.raises(LpwError, match="--"):
            EmbedOptions(**options)


class TestEstimate:
    def test_a_trial_leaves_no_trace_and_a_dry_run_writes_nothing(self, made, network, tmp_path):
        told, settings = [], EmbedOptions()
        for name, announce in (("with", told.append), ("without", None)):
            embedder = open_embedder(network, settings)
            embed_dataset(open_index(made), embedder, tmp_path / name, settings, announce)
        assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()
        index = open_index(made)
        assert [told[0].n_files, told[0].n_bytes] == [1, 4 * embedder.dimension * len(index)]
        out = tmp_path / "dry.parquet"
        words = ["--onnx", str(network), str(made), "--out", str(out), "--dry-run", "--json"]
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["n_bytes"] == told[0].n_bytes
        assert not out.exists()


class TestCommand:
    def test_from_the_command_line(self, made: Path, network: Path, tmp_path: Path) -> None:
        out = tmp_path / "e.parquet"
        argv = [
            "--onnx",
            str(network),
            "--data",
            str(made),
            "--out",
            str(out),
            "--mean",
            "none",
            "--std",
            "1,1,1",
        ]
        run = CliRunner().invoke(command, argv, catch_exceptions=False)
        assert run.exit_code == 0 and "6 tracklets, 3 numbers each" in run.output
        again = CliRunner().invoke(
            command, [*argv, "--frames", "2", "--per-frame", "--json"], catch_exceptions=False
        )
        facts = json.loads(again.output.splitlines()[-1])
        assert facts["n_images"] == 12 and facts["settings"]["mean"] == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize(
        "odd",
        [
            ["--mean", "1,2"],
            ["--std", "imagnet"],
            ["--frames", "some"],
            ["--size", "256"],
            ["--frames", "0"],
        ],
    )
    def test_odd_options_in_one_line(self, made: Path, network: Path, odd: list[str]) -> None:
        run = CliRunner().invoke(command, ["--onnx", str(network), "--data", str(made), *odd])
        assert isinstance(run.exception, LpwError) and odd[0] in str(run.exception)


def index_mini_lpw(source: Path, root: Path) -> Dataset:
    """Scene 1 of mini_lpw as a dataset."""

    frames, tracklets = [], []
    folders = {
        f"scen1/{view.name}/{person.name}": person
        for view in list_folder(source / "scen1")
        for person in list_folder(view)
    }
    for name in sorted(folders):
        files = list_folder(folders[name])
        writing.make_folder(root / "images" / name)
        for position, file in enumerate(files):
            shutil.copy(file, root / "images" / name)
            frames.append({
                "tracklet_id": name, "position": position, "width": 64, "height": 128,
                "image": {"bytes": None, "path": f"images/{name}/{file.name}"},
                "sha256": hashlib.sha256(file.read_bytes()).digest(),
            })  # fmt: skip
        scene, view, person = name.split("/")
        tracklets.append({
            "tracklet_id": name, "scene_id": scene, "camera_id": f"{scene}/{view}",
            "person_id": f"{scene}/{person}",
            "kind": "person", "n_frames": len(files),
        })  # fmt: skip
    for name, rows, kind in (
        ("frames", frames, schema.FRAMES),
        ("tracklets", tracklets, schema.TRACKLETS),
    ):
        table = pa.Table.from_pylist(rows, schema=kind)
        tables.write_table(
            root / f"{name}.parquet",
            table,
            kind,
            group_by="tracklet_id" if name == "frames" else None,
        )
    return close_dataset(root, {"name": "mini"})


@pytest.mark.realdata
class TestRealModel:
    def test_osnet_finds_people_again(self, shared_data: Path, tmp_path: Path) -> None:
        """LPW's protocol on scene 1: probes of view 2, gallery of views 1 and 3; and both runtimes
        agree."""
        onnx = shared_data / "weights" / "osnet_x0_25_msmt17.onnx"
        dataset = index_mini_lpw(shared_data / "mini_lpw" / "pep_256x128", tmp_path / "mini")
        options = EmbedOptions()
        found = {}
        for runtime in RUNTIMES:
            table = embed(
                dataset.root,
                onnx,
                tmp_path / runtime,
                frames=2,
                runtime=runtime,
                mean=options.mean,
                std=options.std,
            )
            found[runtime] = vectors_of(table)
        unit = {name: v / np.linalg.norm(v, axis=1, keepdims=True) for name, v in found.items()}
        assert (unit["openvino"] * unit["onnxruntime"]).sum(axis=1).min() > 0.9999
        camera = np.array(dataset.tracklets["camera_id"].to_pylist())
        person = np.array(dataset.tracklets["person_id"].to_pylist())
        query, gallery = camera == "scen1/view2", np.isin(camera, ["scen1/view1", "scen1/view3"])
        best = (unit["openvino"][query] @ unit["openvino"][gallery].T).argmax(axis=1)
        rank1 = (person[gallery][best] == person[query]).mean()
        assert rank1 > 0.8
