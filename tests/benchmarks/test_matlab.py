"""Matrices of MATLAB files: what is read, and every damage as one line."""

import io
import struct
import zlib

import numpy as np
import pytest
from fakes import encode_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import loadmat, savemat

from lpw_toolkit.benchmarks.matlab import read_matrix
from lpw_toolkit.errors import LpwError

PLACES = np.arange(1, 61).reshape(3, 20)


def save(**variables: object) -> bytes:
    sink = io.BytesIO()
    savemat(sink, variables)
    return sink.getvalue()


def complaint(
    data: bytes, variable: str = "ls_set", shape: tuple[int | None, int | None] = (None, None)
) -> str:
    with pytest.raises(LpwError) as caught:
        read_matrix(data, variable, shape, "splits.mat")
    text = str(caught.value)
    assert "\n" not in text and text.startswith("splits.mat")
    return text


class TestReading:
    @pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f4", "f8"])
    def test_whole_numbers_of_any_type(self, dtype):
        found = read_matrix(encode_matrix("ls_set", PLACES.astype(dtype)), "ls_set", (3, 20), "x")
        assert found.dtype == np.int64
        assert np.array_equal(found, PLACES)

    def test_uncompressed_and_among_others(self):
        data = save(other=np.eye(2), ls_set=PLACES, text="abc")
        assert np.array_equal(read_matrix(data, "ls_set", (3, None), "x"), PLACES)

    def test_big_endian(self):
        def element(kind: int, payload: bytes) -> bytes:
            return struct.pack(">II", kind, len(payload)) + payload + bytes(-len(payload) % 8)

        parts = [
            element(6, struct.pack(">II", 6, 0)),
            element(5, struct.pack(">ii", 2, 2)),
            element(1, b"ls_set"),
        ]
        values = element(9, struct.pack(">4d", 1, 2, 3, 70000))
        data = (
            b"MATLAB 5.0 MAT-file".ljust(124)
            + b"\x01\x00MI"
            + element(14, b"".join([*parts, values]))
        )
        assert read_matrix(data, "ls_set", (2, 2), "x").tolist() == [[1, 3], [2, 70000]]

    @settings(max_examples=60, deadline=None)
    @given(
        arrays(st.sampled_from(["i1", "u2", "i4", "f8"]),
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
               elements=st.integers(0, 100)),
        st.from_regex("[a-zA-Z][a-zA-Z0-9_]{0,30}", fullmatch=True), st.booleans(),
    )  # fmt: skip
    def test_equal_to_what_scipy_wrote(self, values, variable, compressed):
        sink = io.BytesIO()
        savemat(sink, {variable: values}, do_compression=compressed)
        assert np.array_equal(read_matrix(sink.getvalue(), variable, values.shape, "x"), values)

    def test_negative_numbers(self):
        assert read_matrix(encode_matrix("a", np.array([[-1, 0]])), "a", (1, 2), "x").tolist() == [
            [-1, 0]
        ]

    def test_the_same_matrix_is_the_same_file(self):
        assert encode_matrix("ls_set", PLACES) == encode_matrix("ls_set", PLACES)
        assert encode_matrix("ls_set", PLACES)[:116] == b"MATLAB 5.0 MAT-file, drawn".ljust(116)


class TestFaults:
    def test_cut_short_anywhere(self):
        data = encode_matrix("ls_set", PLACES)
        for size in range(len(data)):
            assert "cut short" in complaint(data[:size]) or size < 10 or size == 128

    def test_uncompressed_and_cut_short_anywhere(self):
        data = save(ls_set=PLACES)
        for size in range(129, len(data)):
            assert "cut short" in complaint(data[:size])

    def test_only_a_header(self):
        assert "cut short at 128 bytes" in complaint(encode_matrix("ls_set", PLACES)[:128])

    def test_other_files(self):
        assert "got an empty file" in complaint(b"")
        assert "got another kind of file" in complaint(b"\x89PNG" + bytes(500))
        assert "got another kind of file" in complaint(b"<!DOCTYPE html>" + bytes(500))

    def test_newer_version(self):
        assert "7.3" in complaint(b"MATLAB 7.3 MAT-file" + bytes(600))
        assert "save -v7" in complaint(b"MATLAB 7.3 MAT-file" + bytes(600))

    def test_wrong_variable(self):
        text = complaint(save(a=PLACES, b=PLACES))
        assert "got variables a, b; expected variable ls_set" in text

    def test_wrong_shape(self):
        text = complaint(encode_matrix("ls_set", PLACES), shape=(10, None))
        assert "got 3 x 20 values; expected 10 x any" in text

    def test_an_empty_matrix(self):
        assert "0 x 0" in complaint(save(ls_set=np.zeros((0, 0))))

    @pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e300])
    def test_no_whole_numbers(self, value):
        assert "no whole numbers" in complaint(encode_matrix("ls_set", np.array([[1.0, value]])))

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            ("text", "got text"), ({"a": 1}, "got struct"),
            (np.array([1, "b"], dtype=object), "got cell"),
            (np.array([[1 + 2j]]), "got complex numbers"), (np.zeros((2, 2, 2)), "3 dimensions"),
        ],
    )  # fmt: skip
    def test_other_types(self, value, named):
        assert named in complaint(save(ls_set=value))

    def test_a_bomb_is_not_unpacked(self, monkeypatch):
        monkeypatch.setenv("LPW_LIMIT_MATLAB_BYTES", str(1 << 16))
        packed = zlib.compress(bytes(1 << 20))
        data = encode_matrix("ls_set", PLACES)[:128] + struct.pack("<II", 15, len(packed)) + packed
        assert "more than 65536 bytes" in complaint(data)
        half = zlib.compress(save(ls_set=np.zeros((5000, 1)))[128:])
        several = encode_matrix("ls_set", PLACES)[:128] + 2 * (
            struct.pack("<II", 15, len(half)) + half
        )
        assert "more than 65536 bytes" in complaint(several)

    def test_too_large_a_file(self, monkeypatch):
        monkeypatch.setenv("LPW_LIMIT_MATLAB_BYTES", str(200))
        assert "more than the 200 bytes allowed" in complaint(encode_matrix("ls_set", PLACES))

    def test_two_variables_of_one_name(self):
        data = encode_matrix("ls_set", PLACES)
        assert "got variables ls_set, ls_set; expected variable ls_set, once" in complaint(
            data + data[128:]
        )

    @pytest.mark.parametrize("kind", [0x0F, 0x7F, 0xFF])
    def test_a_type_of_values_that_nobody_knows(self, kind):
        """With 0x7F scipy 1.17 reads memory that is not its own, and the process dies."""
        data = bytearray(save(ls_set=PLACES))
        assert data[184] == 12  # 64-bit integers
        data[184] = kind
        assert f"unknown type ({kind})" in complaint(bytes(data))

    def test_fewer_values_than_the_shape_says(self):
        data = bytearray(save(ls_set=PLACES))
        data[164] = 21  # columns
        assert "got 60 values; expected 63 as its shape says" in complaint(bytes(data))

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_damage_is_told_in_one_line_or_does_no_harm(self, data):
        file = bytearray(
            save(ls_set=PLACES) if data.draw(st.booleans()) else encode_matrix("ls_set", PLACES)
        )
        for _ in range(data.draw(st.integers(1, 4))):
            file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
        try:
            found = read_matrix(bytes(file), "ls_set", (3, 20), "x")
        except LpwError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert found.shape == (3, 20)


@pytest.mark.realdata
def test_the_official_files_of_mars(shared_data):
    folder = shared_data / "splits" / "mars_info"
    shapes = {
        "tracks_train_info": (8298, 4),
        "tracks_test_info": (12180, 4),
        "query_IDX": (1, 1980),
    }
    for stem, shape in shapes.items():
        data = (folder / f"{stem}.mat").read_bytes()
        variable = stem.replace("tracks", "track")
        assert np.array_equal(
            read_matrix(data, variable, shape, stem), loadmat(io.BytesIO(data))[variable]
        )
        for size in range(0, len(data), len(data) // 40):
            with pytest.raises(LpwError):
                read_matrix(data[:size], variable, shape, stem)
