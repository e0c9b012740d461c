"""The CMC plot: a picture of the right kind, the same every time, and never of values that are no
CMC."""

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.cmc_plot import MAX_CURVES, draw_cmc

pytest.importorskip("matplotlib")
CURVES = {"cosine": np.linspace(0.4, 0.9, 20), "XQDA": np.linspace(0.5, 0.95, 50)}


def test_png_is_a_picture_with_both_colours(tmp_path):
    draw_cmc(CURVES, tmp_path / "cmc.png", title="mars")
    image = cv2.imread(str(tmp_path / "cmc.png"))
    assert image.shape == (660, 960, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(image[..., ::-1].astype(int) - colour).max(axis=2) < 8).sum() > 300
    assert [p.name for p in tmp_path.iterdir()] == ["cmc.png"]


@pytest.mark.parametrize("suffix", ["png", "svg", "SVG"])
def test_same_numbers_same_bytes_in_another_process(tmp_path, suffix):
    draw_cmc(CURVES, tmp_path / f"a.{suffix}", title="t")
    code = (
        "import sys, numpy as np; from pathlib import Path; from lpw_toolkit.evaluation.cmc_plot "
        "import draw_cmc;"
        "curves = {'cosine': np.linspace(0.4, 0.9, 20), 'XQDA': np.linspace(0.5, 0.95, 50)};"
        "draw_cmc(curves, Path(sys.argv[1]), title='t')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / f"b.{suffix}")], check=True)
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_svg_names_no_time_program_or_place(tmp_path):
    draw_cmc(CURVES, tmp_path / "cmc.svg")
    text = (tmp_path / "cmc.svg").read_text("utf-8")
    assert not re.search(r"dc:date|Matplotlib v|\d{4}-\d\d-\d\dT", text)
    assert str(tmp_path) not in text
    assert "<script" not in text


def test_looks_of_the_user_change_nothing(tmp_path):
    import matplotlib

    draw_cmc(CURVES, tmp_path / "a.svg")
    with matplotlib.rc_context(
        {"lines.linewidth": 9, "axes.facecolor": "red", "axes.prop_cycle": "cycler('color', 'r')"}
    ):
        draw_cmc(CURVES, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("label", ["_hidden", "$x_1", "<b>&", "l\nine", "", "é" * 300])
def test_any_label_is_only_text(tmp_path, label):
    draw_cmc({label: np.array([0.5, 0.75])}, tmp_path / "cmc.svg", title=label)
    draw_cmc({"plain": np.array([0.5, 0.75])}, tmp_path / "plain.svg", title="plain")
    text, plain = (
        (tmp_path / "cmc.svg").read_text("utf-8"),
        (tmp_path / "plain.svg").read_text("utf-8"),
    )
    assert text.count("legend_1") == plain.count("legend_1") == 1
    assert text.count("line2d") == plain.count("line2d")


def test_many_curves_differ_in_colour_or_dashes(tmp_path):
    draw_cmc({f"m{i}": np.array([0.01 * i, 0.5]) for i in range(MAX_CURVES)}, tmp_path / "cmc.svg")
    text = (tmp_path / "cmc.svg").read_text("utf-8")
    axes = text[: text.index('id="legend_1"')]
    looks = set(re.findall(r'style="fill: none; (stroke[^"]*stroke-width: 1\.8[^"]*)"', axes))
    assert len(looks) == MAX_CURVES


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "shape"), ([[0.5]], "shape"),
        ([0.5, float("nan")], "no CMC"), ([0.5, 0.4], "no CMC"), ([50, 60], "no CMC"),
        ([-0.1, 0.5], "no CMC"),
    ],
)  # fmt: skip
def test_what_is_no_cmc_is_refused(tmp_path, values, message):
    with pytest.raises(LpwError, match=message):
        draw_cmc({"a": np.array(values)}, tmp_path / "cmc.png")
    assert list(tmp_path.iterdir()) == []


def test_one_rank_and_a_thousand_ranks(tmp_path):
    for n_ranks in (1, 2, 1000):
        draw_cmc({"a": np.linspace(0, 1, n_ranks)}, tmp_path / f"{n_ranks}.png")
        assert cv2.imread(str(tmp_path / f"{n_ranks}.png")) is not None


def test_other_suffixes_and_numbers_of_curves_are_refused(tmp_path):
    with pytest.raises(LpwError, match=r"the suffix '\.pdf'"):
        draw_cmc(CURVES, tmp_path / "cmc.pdf")
    for curves in ({}, {str(i): np.array([1.0]) for i in range(MAX_CURVES + 1)}):
        with pytest.raises(LpwError, match="curves: got"):
            draw_cmc(curves, tmp_path / "cmc.png")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LpwError, match=r'pip install "lpw-toolkit\[plot\]"'):
        draw_cmc(CURVES, tmp_path / "cmc.png")
