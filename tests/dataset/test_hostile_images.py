"""Pictures that mean harm: each is refused in one line before it is decoded, wherever a picture is
read."""

import hashlib
import io
import itertools
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moments import PATIENCE_S
from PIL import Image
from tiny_benchmark import import_tiny, write_tiny

from lpw_toolkit.benchmarks.image_copier import vet_copy
from lpw_toolkit.build.source_hash import hash_source
from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import close_dataset, open_dataset
from lpw_toolkit.dataset.image_codec import decode_image
from lpw_toolkit.dataset.image_format import (
    ImageFaultError,
    read_image_header,
    vet_image,
    without_spans,
)
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.errors import LpwError, MismatchError
from rqen.body import key_points
from rqen.quality_page import scored_tracklets

ROOT = Path(__file__).resolve().parents[2]
LIMITED = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
    "sys.argv = ['lpw', *sys.argv[1:]]; runpy.run_module('lpw_cli', run_name='__main__')"
)
DECODING = (
    "import resource, sys; from pathlib import Path;"
    "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
    "from lpw_toolkit.dataset.dataset import open_dataset; from lpw_toolkit.dataset.image_reader "
    "import "
    "open_images;"
    "from lpw_toolkit.errors import CorruptCropError\n"
    "try: print(open_images(open_dataset(Path(sys.argv[1])), verify_every=0).decode(1).shape)\n"
    "except CorruptCropError as error: print(error)"
)
WIDTH, HEIGHT = 32, 64


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    bits: int = 8,
    extra: bytes = b"",
    value: bytes = b"\0",
) -> bytes:
    """A grey PNG of one value, with `extra` chunks before the pixels."""
    row = b"\0" + value * ((width * bits + 7) // 8)
    packer, n_rows = zlib.compressobj(9), max(1, (1 << 20) // len(row))
    body = [packer.compress(row * min(n_rows, height - at)) for at in range(0, height, n_rows)]
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = (
        chunk(b"IHDR", head),
        extra,
        chunk(b"IDAT", b"".join(body) + packer.flush()),
        chunk(b"IEND"),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def make_jpeg(*, progressive: bool = False, grey: bool = False) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    return cv2.imencode(".jpg", pixels[..., 0] if grey else pixels, options)[1].tobytes()


def repeat_last_scan(data: bytes, n_times: int, size: tuple[int, int] | None = None) -> bytes:
    """A JPEG with its last scan again and again; `size` is the width and height that it claims."""
    if size:
        frame = data.index(b"\xff\xc2") if b"\xff\xc2" in data else data.index(b"\xff\xc0")
        data = data[: frame + 5] + struct.pack(">HH", size[1], size[0]) + data[frame + 9 :]
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * n_times + b"\xff\xd9"


def hide_frame() -> bytes:
    """A JPEG whose huge frame lies where a reader that trusts FF 00 to have a length does not
    look."""
    huge = b"\xff\xc0\0\x0b\x08\xea\x60\xea\x60\1\1\x11\0"
    return b"\xff\xd8\xff\0" + struct.pack(">H", len(huge) + 2) + huge + make_jpeg()[2:]


ZEROS = zlib.compress(bytes(7 << 20), 9)
#: name: suffix, bytes, size in the index, rule of `lpw check`, words of the message
REFUSED = {
    "pixels": ("png", make_png(32_767, 32_767, bits=1), (32_767, 32_767), "image-bound",
    "32767 x 32767 pixels, more"),
    "scans": (
        "jpg",
        repeat_last_scan(make_jpeg(progressive=True), 20_000, (8_000, 7_000)),
        (8_000, 7_000),
        "image-bound",
        "over 50 scans, more than the 50 scans allowed (--limit image_scans=N raises it)",
    ),
    "chunks": ("png", make_png(extra=chunk(b"teSt") * 70_000), (WIDTH, HEIGHT), "image-bound",
    "over 65536 chunks"),
    "cut PNG": ("png", make_png()[:-12], (WIDTH, HEIGHT), "image-whole", "a PNG that is cut off"),
    "cut JPEG": ("jpg", make_jpeg()[:-40], (WIDTH, HEIGHT), "image-whole",
    "a JPEG that is cut off"),
    "no pixels": (
        "png",
        make_png().replace(b"IDAT", b"teSt"),
        (WIDTH, HEIGHT),
        "image-whole",
        "a PNG without pixels",
    ),
    "hidden frame": ("jpg", hide_frame(), (WIDTH, HEIGHT), "image-kind", "neither JPEG nor PNG"),
}  # fmt: skip
KINDS = sorted(REFUSED)


def make_dataset(root: Path, data: bytes, suffix: str, size: tuple[int, int]) -> Path:
    """A dataset that agrees with itself: one tracklet of an ordinary crop and of `data`."""
    images = [("0.jpg", make_jpeg(), (WIDTH, HEIGHT)), (f"1.{suffix}", data, size)]
    (root / "images").mkdir(parents=True)
    rows = []
    for position, (name, content, (width, height)) in enumerate(images):
        (root / "images" / name).write_bytes(content)
        row = {
            "tracklet_id": "a",
            "position": position,
            "image": {"bytes": None, "path": f"images/{name}"},
        }
        rows.append(
            row | {"width": width, "height": height, "sha256": hashlib.sha256(content).digest()}
        )
    frames = pa.Table.from_pylist(rows, schema=schema.FRAMES)
    tables.write_table(root / "frames.parquet", frames, schema.FRAMES, group_by="tracklet_id")
    tracklet = {
        "tracklet_id": "a",
        "scene_id": "s",
        "camera_id": "c",
        "kind": "person",
        "n_frames": len(rows),
    }
    tracklets = pa.Table.from_pylist([tracklet], schema=schema.TRACKLETS)
    tables.write_table(root / "tracklets.parquet", tracklets, schema.TRACKLETS)
    about = {
        "name": "evil",
        "parent": None,
        "sources": [],
        "settings": {},
        "licence": None,
        "consent": None,
    }
    close_dataset(root, about)
    return root


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("hostile")
    return {
        name: make_dataset(top / name, *REFUSED[name][1::-1], REFUSED[name][2]) for name in KINDS
    }


def run_limited(
    code: str, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A process of at most 2 GB; nothing that passes here takes more than seconds."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    quiet = {  # Arrow's own allocator reserves 1 GB at once, which leaves threads no room
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    told = {**os.environ, **quiet, **environment}
    run = subprocess.run(
        command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert "Traceback" not in run.stderr
    return run


class TestEveryReaderRefuses:
    @pytest.mark.parametrize("kind", KINDS)
    def test_check(self, kind: str, datasets: dict[str, Path]) -> None:
        _, _, _, rule, said = REFUSED[kind]
        run = run_limited(LIMITED, "check", datasets[kind])
        assert run.returncode == 3
        lines = [
            line
            for line in (run.stdout + run.stderr).splitlines()
            if f": {rule}: got {said}" in line
        ]
        assert len(lines) == 1 and "row 1" in lines[0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_show(self, kind: str, datasets: dict[str, Path], tmp_path: Path) -> None:
        run = run_limited(LIMITED, "show", datasets[kind], "--out", tmp_path / "page")
        said = "no JPEG or PNG" if kind == "hidden frame" else REFUSED[kind][4]
        assert said in run.stdout + run.stderr
        assert (tmp_path / "page" / "sprites" / "0" / "0.jpg").is_file()

    @pytest.mark.parametrize("kind", KINDS)
    def test_decode(self, kind: str, datasets: dict[str, Path]) -> None:
        run = run_limited(DECODING, datasets[kind])
        assert run.returncode == 0, run.stderr
        assert f"images/1.{REFUSED[kind][0]}: got {REFUSED[kind][4]}" in run.stdout
        assert run.stdout.count("\n") == 1

    @pytest.mark.parametrize("kind", KINDS)
    def test_import(self, kind: str, tmp_path: Path) -> None:
        suffix, data, _, _, said = REFUSED[kind]
        folder = write_tiny(tmp_path / "raw") / "cam2" / "10"
        (folder / "9.jpg").unlink()
        (folder / f"9.{suffix}").write_bytes(data)
        said = said.replace("neither JPEG nor PNG", "neither a JPEG nor a PNG")
        with pytest.raises(MismatchError) as caught:
            import_tiny(tmp_path / "raw", tmp_path / "out")
        assert f"cam2/10/9.{suffix}: {said}" in str(caught.value)
        assert str(vet_copy(f"9.{suffix}", data)).startswith(said)

    @pytest.mark.parametrize("kind", KINDS)
    def test_image_sequence_as_video(self, kind: str, tmp_path: Path) -> None:
        suffix, data, _, _, said = REFUSED[kind]
        folder = tmp_path / "seq" / "img1"
        folder.mkdir(parents=True)
        for number in (1, 2, 4, 5):
            (folder / f"{number:06d}.jpg").write_bytes(make_jpeg())
        (folder / f"000003.{suffix}").write_bytes(data)
        (tmp_path / "det.txt").write_text(
            "".join(f"{i},-1,4,4,20,40,0.9,-1,-1,-1\n" for i in (1, 2, 4, 5))
        )
        arguments = (
            "build-tracklets",
            tmp_path / "seq",
            "--boxes",
            tmp_path / "det.txt",
            "--out",
            tmp_path / "out",
        )
        run = run_limited(LIMITED, *arguments, LPW_OFFLINE="1")
        if kind == "hidden frame":
            said = "no image that can be read"
        if kind == "pixels":
            said = "declared as 32767x32767 pixels"
        assert run.returncode == 4, run.stdout + run.stderr
        assert f"000003.{suffix} is {said}" in run.stdout + run.stderr

    def test_a_sparse_file_is_not_read(self, tmp_path: Path) -> None:
        root = make_dataset(tmp_path / "big", make_jpeg(), "jpg", (WIDTH, HEIGHT))
        os.truncate(root / "images" / "1.jpg", 1 << 40)
        run = run_limited(LIMITED, "check", root)
        assert run.returncode == 3
        assert (
            "image-bound: got 1099511627776 bytes, more than the 67108864 bytes allowed"
            in run.stdout + run.stderr
        )


class TestBounds:
    def test_a_trusted_image_beyond_a_bound_opens_with_an_option(self, tmp_path: Path) -> None:
        data = repeat_last_scan(make_jpeg(progressive=True), 60)
        root = make_dataset(tmp_path / "set", data, "jpg", (WIDTH, HEIGHT))
        assert run_limited(LIMITED, "check", root).returncode == 3
        assert run_limited(LIMITED, "check", root, LPW_LIMIT_IMAGE_SCANS="100").returncode == 0
        assert "over 50 scans" in run_limited(DECODING, root).stdout
        assert (
            run_limited(DECODING, root, LPW_LIMIT_IMAGE_SCANS="100").stdout
            == f"({HEIGHT}, {WIDTH}, 3)\n"
        )

    def test_what_was_checked_under_wider_bounds_is_checked_again(self, tmp_path: Path) -> None:
        root = make_dataset(tmp_path / "set", make_png(200, 100), "png", (200, 100))
        assert run_limited(LIMITED, "check", root).returncode == 0
        narrow = {"LPW_LIMIT_IMAGE_PIXELS": "10000"}
        assert run_limited(LIMITED, "check", root, "--incremental", **narrow).returncode == 3

    @pytest.mark.parametrize("bits", [1, 8])
    def test_one_pixel_more_than_allowed(self, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LPW_LIMIT_IMAGE_PIXELS", "600")
        assert decode_image(make_png(30, 20, bits=bits)).shape == (20, 30, 3)
        with pytest.raises(
            ImageFaultError, match="1 x 601 pixels, more than the 600 pixels allowed"
        ):
            decode_image(make_png(1, 601, bits=bits))

    @pytest.mark.parametrize("progressive", [False, True])
    def test_scans_are_counted_whether_progressive_or_not(self, progressive: bool) -> None:
        image = io.BytesIO()
        Image.new("RGB", (WIDTH, HEIGHT)).save(image, "JPEG", progressive=progressive)
        data = image.getvalue()
        n_scans = data.count(b"\xff\xda")
        size = (4_000, 4_000)
        many = repeat_last_scan(data, 51, size)
        if progressive:
            header = read_image_header(many)
            assert header is not None
            with pytest.raises(ImageFaultError, match="over 50 scans"):
                vet_image(many, header)
            fits = repeat_last_scan(data, 50 - n_scans, size)
            assert vet_image(fits, header) == []
        else:  # one scan of all components: a decoder stops behind it
            assert n_scans == 1
            assert decode_image(many).shape == (4_000, 4_000, 3)

    def test_scans_of_single_components_in_a_sequential_jpeg(self) -> None:
        """libjpeg keeps the whole image for these too."""
        one = make_jpeg(grey=True)
        frame, scan = one.index(b"\xff\xc0"), one.index(b"\xff\xda")
        three = (
            b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 4_000, 4_000) + b"\3\1\x11\0\2\x11\0\3\x11\0"
        )
        data = one[:frame] + three + one[frame + 13 : scan] + one[scan:-2] * 60 + b"\xff\xd9"
        header = read_image_header(data)
        assert header is not None
        with pytest.raises(ImageFaultError, match="over 50 scans"):
            vet_image(data, header)

    def test_thumbnails_are_no_scans(self) -> None:
        data = make_jpeg(progressive=True)
        frame = data.index(b"\xff\xc2")
        inside = b"\xff\xda" * 1_000
        comment = b"\xff\xfe" + struct.pack(">H", len(inside) + 2) + inside
        scan = data.index(b"\xff\xda")
        data = data[:frame] + comment + data[frame:scan] + comment + data[scan:]
        assert np.array_equal(decode_image(data), decode_image(make_jpeg(progressive=True)))


class TestChunksThatUnpack:
    @pytest.mark.parametrize(
        "extra",
        [
            chunk(b"iCCP", b"x\0\0" + ZEROS),
            chunk(b"zTXt", b"x\0\0" + ZEROS) * 900,
            chunk(b"iTXt", b"x\0\1\0\0\0" + ZEROS) * 900,
            chunk(b"tEXt", b"x\0y") * 2_000,
        ],
        ids=["iCCP", "zTXt", "iTXt", "tEXt"],
    )
    def test_they_are_never_unpacked(self, extra: bytes) -> None:
        data = make_png(extra=extra, value=b"\x55")
        header = read_image_header(data)
        assert header is not None
        spans = vet_image(data, header)
        assert without_spans(data, spans) == make_png(value=b"\x55")
        assert np.array_equal(decode_image(data), np.full((HEIGHT, WIDTH, 3), 0x55, np.uint8))

    def test_an_animation_is_its_still_image(self) -> None:
        frames = [
            Image.new("RGB", (9, 7), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))
        ]
        sink = io.BytesIO()
        frames[0].save(sink, "PNG", save_all=True, append_images=frames[1:], duration=100)
        assert b"fdAT" in sink.getvalue()
        assert np.array_equal(
            decode_image(sink.getvalue()), np.full((7, 9, 3), (0, 0, 250), np.uint8)
        )

    @pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
    def test_ordinary_png_decodes_as_pillow_says(self, mode: str) -> None:
        pixels = np.random.default_rng(1).integers(0, 255, (20, 10), dtype=np.uint8)
        image = Image.fromarray(pixels).convert("RGB" if mode == "RGBA" else "L")
        image = (
            Image.fromarray(pixels.astype(np.uint16) * 257)
            if mode == "I;16"
            else image.convert(mode)
        )
        sink = io.BytesIO()
        image.save(sink, "PNG", icc_profile=bytes(range(256)), dpi=(72, 72))
        wanted = pixels if mode == "I;16" else np.asarray(image.convert("RGB").convert("L"))
        assert np.abs(decode_image(sink.getvalue())[..., 1].astype(int) - wanted).max() <= 1


class TestManyAtOnce:
    """One image may have 64 million pixels; sixty of them are not held together."""

    def test_pose(self, datasets: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        images = open_images(open_dataset(datasets["cut PNG"]))
        rows = np.array([0, 1, 0, 1, 0])
        assert list(key_points._cut_to_memory(images, rows)) == [[0, 1, 0, 1, 0]]
        monkeypatch.setattr(key_points, "_CHUNK_PIXELS", 2 * WIDTH * HEIGHT)
        assert list(key_points._cut_to_memory(images, rows)) == [[0, 1], [0, 1], [0]]
        monkeypatch.setattr(key_points, "_CHUNK_PIXELS", 1)
        assert list(key_points._cut_to_memory(images, rows)) == [[0], [1], [0], [1], [0]]

    def test_page_of_scores(
        self, datasets: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = open_images(open_dataset(datasets["cut PNG"]))
        assert np.array_equal(scored_tracklets._decode_to_show(images, 0), images.decode(0))
        monkeypatch.setattr(scored_tracklets, "_MAX_SHOWN_PIXELS", WIDTH * HEIGHT // 4)
        assert scored_tracklets._decode_to_show(images, 0).shape == (HEIGHT // 2, WIDTH // 2, 3)


class TestAnyBytes:
    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_a_changed_image_is_decoded_or_refused(self, data: st.DataObject) -> None:
        good = data.draw(st.sampled_from([make_jpeg(), make_jpeg(progressive=True), make_png()]))
        bad = bytearray(good)
        for _ in range(data.draw(st.integers(1, 4))):
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
        header = read_image_header(bytes(bad))
        try:
            pixels = decode_image(bytes(bad))
        except ImageFaultError as error:
            assert str(error) and "\n" not in str(error)
        else:
            assert header is not None and pixels.shape == (header.height, header.width, 3)

    @pytest.mark.parametrize("make", [make_jpeg, make_png])
    def test_every_cut(self, make: object) -> None:
        good = make()  # type: ignore[operator]
        for size in itertools.chain(range(60), range(60, len(good), 7)):
            with pytest.raises(ImageFaultError):
                decode_image(good[:size])

    def test_headers_of_fill_bytes_and_of_tiny_segments_end(self) -> None:
        for filler in (b"\xff" * (4 << 20), b"\xff\xfe\0\2" * (1 << 20)):
            assert read_image_header(b"\xff\xd8" + filler + make_jpeg()[2:]) is None

    def test_orientation(self) -> None:
        exif = Image.Exif()
        exif[274] = 6
        for kind in ("JPEG", "PNG"):
            sink = io.BytesIO()
            Image.new("RGB", (12, 8)).save(sink, kind, exif=exif)
            assert decode_image(sink.getvalue()).shape == (12, 8, 3)


def test_a_sparse_image_of_a_sequence_is_not_hashed(tmp_path: Path) -> None:
    (tmp_path / "film" / "img1").mkdir(parents=True)
    with (tmp_path / "film" / "img1" / "000001.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(LpwError, match="more than the 67108864"):
        hash_source(tmp_path / "film")
