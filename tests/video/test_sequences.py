"""Image sequences as MOT Challenge, CVAT, ffmpeg, Label Studio and cameras name them."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import media
import numpy as np
import pytest
from PIL import Image

from lpw_toolkit.dataset.frame_format import read_frame_header, vet_frame
from lpw_toolkit.dataset.image_codec import decode_frame
from lpw_toolkit.dataset.image_format import ImageFaultError, ImageHeader
from lpw_toolkit.errors import LpwError
from lpw_toolkit.video.sequences import FolderImages, describe_left_out, group_images
from lpw_toolkit.video.sources import find_sources, locate_videos
from lpw_toolkit.video.video import VideoReport, open_video

KINDS = {".jpg": "JPEG", ".PNG": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
         ".png": "PNG", ".webp": "WEBP", ".jpeg": "JPEG", ".JPG": "JPEG"}  # fmt: skip


def encode(number: int, kind: str, size: tuple[int, int] = (160, 120), **options: object) -> bytes:
    sink = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(media.draw(number, *size)[..., ::-1]))
    image.save(sink, kind, **options)
    return sink.getvalue()


def write_images(folder: Path, names: Sequence[str]) -> Path:
    """Pictures that show 0, 1, 2, … under those names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(encode(number, KINDS[Path(name).suffix]))
    return folder


def read_all(path: Path, sequence: str = "") -> tuple[list[int], list[int], VideoReport]:
    """Indexes of the frames, the numbers that they show, and the report."""
    from lpw_toolkit.video.video import VideoReader

    with VideoReader(path, sequence=sequence) as reader:
        read = [(f.index, media.read_number(f.image)) for f in reader if f.image is not None]
    return [index for index, _ in read], [number for _, number in read], reader.report


@pytest.mark.parametrize("inner", ["", "img1"])
@pytest.mark.parametrize("suffix", sorted(KINDS))
@pytest.mark.parametrize(
    ("form", "first", "index"),
    [
        ("{:06d}", 1, 0),
        ("frame_{:06d}", 0, 0),
        ("frame_{:06d}", 1, 0),
        ("img-{:04d}", 5, 4),
        ("IMG_20240101_120000_{:03d}", 1, 0),
        ("frame{:d}_640x360", 8, 7),
        ("{:05d}_left", 0, 0),
    ],
)
def test_names_of_other_tools(
    tmp_path: Path, inner: str, suffix: str, form: str, first: int, index: int
) -> None:
    names = [f"{form.format(number)}{suffix}" for number in range(first, first + 12)]
    write_images(tmp_path / "seq" / inner, names)
    found = find_sources(tmp_path / "seq")
    assert [(s.relative, s.video_id, s.sequence) for s in found.sources] == [("seq", "seq", "")]
    indexes, numbers, report = read_all(tmp_path / "seq")
    assert indexes == list(range(index, index + 12))
    assert numbers == list(range(12))
    assert (report.complete, report.notes, report.container) == (True, (), "images")


def numbers_of(found: FolderImages) -> list[tuple[str, dict[int, str]]]:
    return [(sequence.name, sequence.images) for sequence in found.sequences]


def test_numbers_are_ordered_as_numbers() -> None:
    found = group_images([f"f{n}.png" for n in (10, 9, 1, 2, 3, 4, 5, 6, 7, 8)])
    assert list(found.sequences[0].images.values()) == [f"f{n}.png" for n in range(1, 11)]


def test_several_sequences_in_a_folder() -> None:
    names = [f"{camera}_{n:04d}.jpg" for camera in ("cam1", "cam2", "door") for n in range(3)]
    assert numbers_of(group_images(names)) == [
        (camera, {n: f"{camera}_{n:04d}.jpg" for n in range(3)})
        for camera in ("cam1", "cam2", "door")
    ]


def test_a_clock_in_the_names_is_one_sequence() -> None:
    for form in ("IMG_20240101_1200{:02d}_{:03d}.jpg", "2024-01-01_12-00-{:02d}_{:03d}.jpg"):
        names = [form.format(second, n) for second in (59, 8) for n in range(5)]
        (found,) = group_images(names).sequences
        assert list(found.images.values()) == sorted(names)
        assert list(found.images) == list(range(10))
        assert "several numbers change" in found.notes[0]


def test_a_number_and_a_time_that_run_together_are_one_sequence() -> None:
    names = [f"frame{n:02d}_t{40 * n:05d}.png" for n in range(8)]
    (found,) = group_images(names).sequences
    assert list(found.images.values()) == names


def test_numbers_that_count_no_frames_are_told() -> None:
    names = [f"frame_{10 * n:06d}.jpg" for n in range(8)]
    (found,) = group_images(names).sequences
    assert list(found.images) == list(range(8))
    told = "8 images with the numbers 0 to 70, which count no frames"
    assert found.notes == (f"{told}: the frames are counted from 0, in this order",)
    dates = [f"{20240101 + n}.jpg" for n in range(3)]
    assert list(group_images(dates).sequences[0].images) == [0, 1, 2]
    (endless,) = group_images([f"{'9' * 60}{n}.jpg" for n in range(3)]).sequences
    assert list(endless.images) == [0, 1, 2]


def test_missing_images_are_lost_frames(tmp_path: Path) -> None:
    names = [f"frame_{n:03d}.png" for n in (0, 1, 2, 5, 6)]
    _, _, report = read_all(write_images(tmp_path / "seq", names))
    assert (report.complete, report.n_lost, report.n_segments) == (False, 2, 2)
    assert "images are missing before frame_005.png: 2" in report.problems[0]


def test_names_that_are_left_out_are_told(tmp_path: Path) -> None:
    seq = write_images(tmp_path / "seq", ["a_1.png", "a_2.png", "a_3.png", "cover.png", "b7.png"])
    for name in ("x.heic", "y.HEIC", "z.dng", "w.avif", "notes.txt"):
        (seq / name).write_bytes(b"x")
    _, numbers, report = read_all(seq)
    assert numbers == [0, 1, 2]
    assert report.notes == (
        "cover.png has no number for a name and is left out",
        "b7.png is the only one of its name and is left out",
        "4 images in formats that are not read are left out (w.avif, x.heic, y.HEIC)",
    )


def test_plain_numbers_win_over_other_names() -> None:
    found = group_images(["000001.jpg", "000002.jpg", "thumb_1.jpg", "a.jpg"])
    assert numbers_of(found) == [("", {0: "000001.jpg", 1: "000002.jpg"})]
    assert describe_left_out(found) == [
        "a.jpg has no number for a name and is left out",
        "thumb_1.jpg has no number for a name and is left out",
    ]


@pytest.mark.parametrize("names", [["1.jpg", "01.jpg"], ["f_1.jpg", "f_1.png", "f_2.png"]])
def test_two_images_with_one_number_are_refused(tmp_path: Path, names: list[str]) -> None:
    write_images(tmp_path / "seq", names)
    with pytest.raises(LpwError, match="one number"), open_video(tmp_path / "seq"):
        pass


def test_mixed_sizes_are_told(tmp_path: Path) -> None:
    (tmp_path / "seq").mkdir()
    for number, size in enumerate([(160, 120), (160, 120), (200, 120)]):
        (tmp_path / "seq" / f"f{number}.png").write_bytes(encode(number, "PNG", size))
    _, _, report = read_all(tmp_path / "seq")
    assert report.sizes == ((0, 160, 120), (2, 200, 120))
    assert report.notes == ("frame 2: size changes from 160x120 to 200x120",)


def test_folders_of_sequences_are_each_a_camera(tmp_path: Path) -> None:
    for name in ("A-2", "A-10"):
        write_images(tmp_path / "kitti" / name, [f"{n:06d}.PNG" for n in range(3)])
    write_images(tmp_path / "kitti" / "both", [f"{c}_{n}.PNG" for c in "lr" for n in range(3)])
    found = find_sources(tmp_path / "kitti")
    assert [(s.relative, s.path.name, s.sequence) for s in found.sources] == [
        ("A-2", "A-2", ""),
        ("A-10", "A-10", ""),
        ("both/l", "both", "l"),
        ("both/r", "both", "r"),
    ]
    assert len({s.camera_id for s in found.sources}) == 4
    places = locate_videos(tmp_path / "kitti")
    assert {name: place.sequence for name, place in places.items()}["both/r"] == "r"
    _, numbers, _ = read_all(tmp_path / "kitti" / "both", "r")
    assert numbers == [3, 4, 5]


def test_images_beside_videos_are_told_and_not_read(tmp_path: Path) -> None:
    root = tmp_path / "v"
    write_images(root / "thumbs", ["t_1.jpg", "t_2.jpg"])
    write_images(root, ["a1.jpg", "a2.jpg"])
    (root / "film.mp4").write_bytes(b"x")
    found = find_sources(root)
    assert [s.relative for s in found.sources] == ["film.mp4"]
    assert found.naming[-1] == (
        "2 folders of images beside the videos are not read (thumbs, v): name such a folder alone "
        "to read it"
    )


def test_a_gif_is_a_video_but_among_numbered_images(tmp_path: Path) -> None:
    write_images(tmp_path / "v" / "seq", ["a1.jpg", "a2.jpg"])
    (tmp_path / "v" / "seq" / "preview.gif").write_bytes(b"x")
    assert [s.relative for s in find_sources(tmp_path / "v").sources] == ["seq"]
    (tmp_path / "v" / "film.gif").write_bytes(b"x")
    assert [s.relative for s in find_sources(tmp_path / "v").sources] == ["film.gif"]


def test_crops_of_a_dataset_are_no_frames(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "images" / "1", ["000001.jpg", "000002.jpg"])
    (tmp_path / "set" / "dataset.json").write_text("{}")
    with pytest.raises(LpwError, match="no video"):
        find_sources(tmp_path)
    (tmp_path / "set" / "film.mp4").write_bytes(b"x")
    assert [s.relative for s in find_sources(tmp_path).sources] == ["set/film.mp4"]


def test_what_was_found_instead_is_shown(tmp_path: Path) -> None:
    write_images(tmp_path / "seq", ["cat.jpg", "dog.jpg"])
    (tmp_path / "seq" / "x.heic").write_bytes(b"x")
    with pytest.raises(LpwError, match=r"found 2 \.jpg, 1 \.heic: cat\.jpg, dog\.jpg, x\.heic"):
        find_sources(tmp_path)
    with pytest.raises(LpwError, match=r"found 2 \.jpg, 1 \.heic"), open_video(tmp_path / "seq"):
        pass


TIFF_HEAD = b"II*\0\x08\0\0\0"


def tiff(*entries: tuple[int, int, int, int], tail: bytes = b"") -> bytes:
    """A TIFF of those (tag, type, count, value)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return TIFF_HEAD + struct.pack("<H", len(entries)) + packed + bytes(4) + tail


SIDES = ((256, 4, 1, 16), (257, 4, 1, 16))
STRIP = ((273, 4, 1, 8), (279, 4, 1, 16))
BMP_HEAD = struct.Struct("<2sIIIIiiHHIIIIII")


def bmp(width: int, height: int, bits: int = 24, compression: int = 0, n_bytes: int = 0) -> bytes:
    head = (b"BM", 54, 0, 54, 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return BMP_HEAD.pack(*head) + bytes(n_bytes)


HOSTILE = {
    "bmp of many pixels": (bmp(30_000, 30_000), "pixels"),
    "bmp cut": (bmp(16, -16, n_bytes=700), "cut off"),
    "bmp of run lengths": (bmp(16, 16, 8, 1, 4_000), "compression 1"),
    "bmp of odd bits": (bmp(16, 16, 7, 0, 4_000), "7 bits"),
    "tiff of many pixels": (
        tiff((256, 4, 1, 60_000), (257, 4, 1, 60_000), *STRIP),
        "pixels",
    ),
    "tiff cut": (tiff(*SIDES, (273, 4, 1, 8), (279, 4, 1, 1 << 20)), "cut off"),
    "tiff of many strips": (
        tiff(*SIDES, (273, 4, 1 << 30, 8), (279, 4, 1 << 30, 8)),
        "1073741824 values",
    ),
    "tiff with JPEG inside": (tiff(*SIDES, *STRIP, (259, 3, 1, 7)), "compression 7"),
    "tiff of many samples": (tiff(*SIDES, *STRIP, (277, 3, 1, 900)), "900 samples"),
    "tiff of huge tiles": (
        tiff(*SIDES, (322, 4, 1, 1 << 30), (323, 4, 1, 1 << 30), *STRIP),
        "tiles",
    ),
    "tiff without data": (tiff(*SIDES), "damaged parts"),
    "webp cut": (encode(1, "WEBP")[:-8], "cut off"),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_images_are_refused_before_decoding(kind: str) -> None:
    data, words = HOSTILE[kind]
    header = read_frame_header(data)
    assert header is not None
    with pytest.raises(ImageFaultError, match=words):
        vet_frame(data, header)
    with pytest.raises(ImageFaultError, match=words):
        decode_frame(data, header)


def test_an_animated_webp_is_refused() -> None:
    sink = io.BytesIO()
    images = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    images[0].save(sink, "WEBP", save_all=True, append_images=images[1:])
    header = read_frame_header(sink.getvalue())
    assert header == ImageHeader("WebP", 16, 16)
    with pytest.raises(ImageFaultError, match="animated"):
        decode_frame(sink.getvalue(), header)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP"])
def test_headers_that_are_cut_anywhere(kind: str) -> None:
    options = {"exif": Image.Exif()} if kind != "BMP" else {}
    whole = encode(1, kind, (12, 20), **options)
    assert read_frame_header(whole) is not None
    for length in range(min(len(whole), 400)):
        header = read_frame_header(whole[:length])
        if header is not None:
            with pytest.raises(ImageFaultError):
                decode_frame(whole[:length], header)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_pixels_are_those_of_pillow(
    kind: str, options: dict[str, object], orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    extra = {} if kind == "BMP" else {"exif": exif}
    data = encode(7, kind, (40, 24), **options, **extra)
    header = read_frame_header(data)
    assert header is not None
    swapped = kind != "BMP" and orientation > 4
    assert (header.width, header.height) == ((24, 40) if swapped else (40, 24))
    from PIL import ImageOps

    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(decode_frame(data, header)[..., ::-1], expected)


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "1", "P"])
def test_other_pixels_of_tiff_become_eight_bits_of_three_colours(mode: str) -> None:
    sink = io.BytesIO()
    image = Image.new("RGB", (12, 8), (200, 200, 200))
    (image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)).save(
        sink, "TIFF"
    )
    header = read_frame_header(sink.getvalue())
    assert header is not None
    assert decode_frame(sink.getvalue(), header).shape == (8, 12, 3)
