"""`lpw train` from the outside: what it says before a long training."""

from types import SimpleNamespace

import pytest
from lpw_cli.say import set_output
from lpw_cli.train import _announcer

from lpw_toolkit.files.estimate import Estimate


@pytest.mark.parametrize(
    ("seconds", "steps", "said"),
    [
        (3000.0, 450, "--set train.iterations=45 takes about 5.0 min"),
        (90_000.0, 150, "--set train.iterations=1 takes about 5.0 min"),
        (590.0, 450, None),
        (3000.0, 0, None),  # a method without steps
    ],
)
def test_a_long_training_says_how_it_becomes_shorter(
    seconds: float, steps: int, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    set_output(as_json=False, quiet=False, verbose=False)
    job = SimpleNamespace(recipe=SimpleNamespace(train=SimpleNamespace(iterations=steps)))
    tell = _announcer(job, dry_run=False)
    assert tell is not None
    tell(Estimate("train", seconds, 6, 10, "a trial"))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "train: about" in line] == lines[-1:]
    assert [line for line in lines if "shorter" in line] == lines[:-1]
    assert len(lines) == 1 + (said is not None)
    assert said is None or said in lines[0]
