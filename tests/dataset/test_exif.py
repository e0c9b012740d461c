"""Images with an EXIF orientation: every reader turns them as a browser does."""

import hashlib
import io
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps
from tiny_benchmark import import_tiny, write_tiny

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.exif import read_orientation, turn_upright
from lpw_toolkit.dataset.image_codec import decode_image
from lpw_toolkit.dataset.image_format import read_image_header
from lpw_toolkit.dataset.image_reader import FileStore, ImageReader, open_images
from lpw_toolkit.pages.sprites import read_crop
from lpw_toolkit.video.video import open_video

PIXELS = np.random.default_rng(4).integers(0, 255, (16, 8, 3), dtype=np.uint8)
#: How Pillow undoes each orientation's turn.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def store(orientation: int, kind: str = "PNG", pixels: np.ndarray = PIXELS) -> bytes:
    """`pixels` (H, W, 3) RGB, stored turned so that they are displayed as they are."""
    image, exif, sink = Image.fromarray(pixels), Image.Exif(), io.BytesIO()
    exif[274] = orientation
    turn = STORED[orientation]
    image = image if turn is None else image.transpose(turn)
    image.save(sink, kind, exif=exif, quality=95)
    return sink.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_read_as_pillow_displays_it(orientation: int) -> None:
    data = store(orientation)
    header = read_image_header(data)
    assert header is not None
    assert (header.width, header.height, header.orientation) == (8, 16, orientation)
    assert np.array_equal(decode_image(data)[..., ::-1], PIXELS)
    jpeg = store(orientation, "JPEG")
    with Image.open(io.BytesIO(jpeg)) as image:
        shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    assert np.abs(decode_image(jpeg)[..., ::-1] - shown).max() <= 2
    assert decode_image(jpeg, shrink=2).shape == (8, 4, 3)


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"II*\0",
        b"MM\0*\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\x06\0\0\0\0\0\0",
        b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12) * 65535,
    ],
)
def test_damaged_exif_is_upright(tiff: bytes) -> None:
    assert read_orientation(tiff) == 1


def test_turning_twice_is_no_turn() -> None:
    for orientation in (2, 3, 4, 5, 7):
        turned = turn_upright(turn_upright(PIXELS, orientation), orientation)
        assert np.array_equal(turned, PIXELS)
    assert np.array_equal(turn_upright(turn_upright(PIXELS, 6), 8), PIXELS)


def import_both(tmp_path: Path, orientation: int) -> tuple[Path, Path]:
    """The same images imported upright and stored turned, as PNG."""
    made = []
    for name, chosen in (("plain", 1), ("turned", orientation)):
        raw = write_tiny(tmp_path / name)
        for file in sorted(raw.rglob("*.jpg")):
            pixels = cv2.imread(str(file))[..., ::-1]
            file.unlink()
            file.with_suffix(".png").write_bytes(store(chosen, "PNG", np.ascontiguousarray(pixels)))
        import_tiny(raw, tmp_path / f"{name}-set")
        made.append(tmp_path / f"{name}-set")
    return made[0], made[1]


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_import_reads_as_the_plain_one_everywhere(tmp_path: Path, orientation: int) -> None:
    plain, turned = (open_dataset(root) for root in import_both(tmp_path, orientation))
    assert [p.rule for p in check_dataset(turned.root).problems] == ["published"]
    for column in ("width", "height"):
        assert turned.frames[column].to_pylist() == plain.frames[column].to_pylist()
    readers = open_images(plain), open_images(turned)
    for row in range(plain.frames.num_rows):
        one, other = (reader.decode(row) for reader in readers)
        assert np.array_equal(one, other)
    rows = [dataset.frames.slice(0, 1).to_pylist()[0] for dataset in (plain, turned)]
    shown = [read_crop(dataset, row) for dataset, row in zip((plain, turned), rows, strict=True)]
    assert np.array_equal(*shown)
    notes = turned.manifest["settings"]["import"]["notes"]
    assert "24 of 24 images are stored turned" in notes[-1]
    assert plain.manifest["settings"]["import"]["notes"] == notes[:-1]


def test_a_resumed_import_still_counts_what_is_turned(tmp_path: Path, monkeypatch) -> None:
    raw = write_tiny(tmp_path / "raw")
    for file in sorted(raw.rglob("*.jpg"))[:5]:
        pixels = np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])
        file.write_bytes(store(8, "JPEG", pixels))

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpw_toolkit.benchmarks.importing.close_dataset", fail)
        with pytest.raises(KeyboardInterrupt):
            import_tiny(raw, tmp_path / "set")
    result = import_tiny(raw, tmp_path / "set")
    assert "5 of 24 images are stored turned" in result.facts["notes"][-1]


def test_rows_of_an_older_version_open_with_the_stored_size(tmp_path: Path) -> None:
    _, turned = import_both(tmp_path, 6)
    dataset = open_dataset(turned)
    frames = dataset.frames
    for column in ("width", "height"):
        other = {"width": "height", "height": "width"}[column]
        values = pa.array(dataset.frames[other].to_pylist(), frames.schema.field(column).type)
        frames = frames.set_column(frames.schema.get_field_index(column), column, values)
    reader = open_images(dataset)
    old = replace(reader, store=FileStore(dataset, reader._paths), frames=frames)
    assert isinstance(old, ImageReader)
    assert np.array_equal(old.decode(0), reader.decode(0))
    place = np.zeros((*old.size_px(0), 3), np.uint8)
    assert old.decode(0, out=place).shape == (8, 16, 3)
    assert place.any()


def test_an_image_sequence_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "seq" / "img1").mkdir(parents=True)
    for number, orientation in enumerate((1, 6, 3), start=1):
        (tmp_path / "seq" / "img1" / f"{number:06d}.png").write_bytes(store(orientation))
    with open_video(tmp_path / "seq") as reader:
        for frame in reader:
            assert frame.image is not None
            assert np.array_equal(frame.image[..., ::-1], PIXELS)


def test_the_bytes_stay_as_they_were(tmp_path: Path) -> None:
    _, turned = import_both(tmp_path, 6)
    dataset = open_dataset(turned)
    row = dataset.frames.slice(0, 1).to_pylist()[0]
    data = dataset.image_file(row["image"]["path"]).read_bytes()
    assert hashlib.sha256(data).digest() == row["sha256"]
