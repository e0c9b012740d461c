"""A linker rule is one file: in the folder of rules, or in a package that names it by an entry
point."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from moments import PATIENCE_S

from lpw_toolkit.dataset.mot_text import make_detections
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking import rule, rules
from lpw_toolkit.linking.config import FORMER_NAMES, FORMER_PRESETS, PRESETS, LinkConfig
from lpw_toolkit.linking.linker import link
from lpw_toolkit.linking.rule import load_rules, make_link_config
from lpw_toolkit.plugins import PluginFolder

BIG_BOXES = '''
from dataclasses import dataclass

import numpy as np

from lpw_toolkit.linking.association import UNASSIGNED

ORDER = 35


@dataclass(frozen=True)
class Settings:
    """When a box is too big.

    Attributes:
        max_box_height: leave out boxes that are higher, in pixels.
    """

    max_box_height: float = 1e9


def apply(tracks, segment, settings):
    height = segment.boxes[:, 3] - segment.boxes[:, 1]
    return np.where(height > settings.max_box_height, UNASSIGNED, tracks)
'''
BUILT_IN = ["ambiguity", "gap_joining", "outliers", "weak_ends", "min_length", "weak_tracks"]
#: Runs `lpw` with the rules of the folder that the first argument names.
LPW = (
    "import sys; from lpw_toolkit.linking import rules; rules.__path__.append(sys.argv.pop(1)); "
    "from lpw_cli.main import run; sys.exit(run())"
)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A second folder of rules, with one file in it."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "big_boxes.py").write_text(BIG_BOXES)
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(folder)])
    monkeypatch.setattr(rule, "RULES", PluginFolder(rule.RULES.package, rule.RULES.thing))
    yield folder
    sys.modules.pop("lpw_toolkit.linking.rules.big_boxes", None)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that brings the same rule."""
    facts = tmp_path / "tall-1.0.dist-info"
    facts.mkdir()
    (tmp_path / "tall_rule.py").write_text(BIG_BOXES)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tall\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{rule.RULES.package}]\ntall = tall_rule\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(rule, "RULES", PluginFolder(rule.RULES.package, rule.RULES.thing))
    yield
    sys.modules.pop("tall_rule", None)


def two_sizes() -> tuple[object, np.ndarray]:
    """Somebody 100 pixels high beside somebody 300 pixels high, 20 frames."""
    frame = np.repeat(np.arange(20, dtype=np.int32), 2)
    height = np.tile([100.0, 300.0], 20)
    left = np.tile([0.0, 500.0], 20)
    boxes = np.stack([left, np.zeros(40), left + height / 3, height], axis=1)
    return make_detections(frame, boxes, np.ones(40)), height


def check_rule() -> None:
    detections, height = two_sizes()
    off = link(detections, make_link_config())
    on = make_link_config(given={"max_box_height": 200.0})
    assert off.max() == 1 and (off >= 0).all()
    assert ((link(detections, on) >= 0) == (height < 200)).all()
    assert on.to_settings() == LinkConfig().to_settings() | {"max_box_height": 200.0}
    assert make_link_config(given=on.to_settings()) == on


def test_a_rule_is_one_file_in_the_folder(added: Path) -> None:
    assert [len(load_rules()), load_rules()[3].ORDER] == [7, 35]
    check_rule()


def test_a_rule_of_another_package_comes_by_an_entry_point(packaged: None) -> None:
    check_rule()


def test_a_setting_that_exists_already_is_refused(added: Path) -> None:
    (added / "big_boxes.py").write_text(BIG_BOXES.replace("max_box_height", "margin"))
    with pytest.raises(LpwError, match="margin, which exists already"):
        load_rules()


def test_a_setting_of_a_rule_is_an_option(tmp_path: Path) -> None:
    (tmp_path / "big_boxes.py").write_text(BIG_BOXES)
    lines = [
        f"{f + 1},-1,{x},10,{h / 3},{h},1\n" for f in range(20) for x, h in ((0, 100), (500, 300))
    ]
    (tmp_path / "det.txt").write_text("".join(lines))
    counts = []
    for options in ([], ["--max-box-height", "200"]):
        command = ["link", "det.txt", "--out", "t.txt", "--json", *options]
        done = subprocess.run(
            [sys.executable, "-c", LPW, tmp_path, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
        counts.append(json.loads(done.stdout)["tracks"])
    assert counts == [2, 1]


def test_built_in_rules_run_in_their_order() -> None:
    names = [module.__name__.rpartition(".")[2] for module in load_rules()]
    assert names == BUILT_IN
    assert all(module.Settings is LinkConfig for module in load_rules())


def test_former_names_are_understood() -> None:
    for old, new in FORMER_NAMES.items():
        value = getattr(PRESETS["low-cost"], new)
        assert make_link_config(given={old: value}) == replace(LinkConfig(), **{new: value})
    assert make_link_config("thrifty") == PRESETS[FORMER_PRESETS["thrifty"]]
    with pytest.raises(LpwError, match="option --preset: got cheap"):
        make_link_config("cheap")
    with pytest.raises(LpwError, match="got speed"):
        make_link_config(given={"speed": 1})


def test_the_record_holds_every_setting() -> None:
    settings = LinkConfig().to_settings()
    assert settings == {k: v for k, v in asdict(LinkConfig()).items() if k != "extra"}
    renamed = json.loads((Path(__file__).parents[1] / "house/renames.json").read_text())
    assert (
        FORMER_NAMES.items() <= renamed["settings"].items() and not FORMER_NAMES.keys() & settings
    )
