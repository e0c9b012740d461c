"""Rows whose distance is chosen on validation persons: `rqen+xqda+tuned`."""

import pytest
import torch
from make_reid import make_reid
from tiny_runs import SMALL

from lpw_toolkit.errors import LpwError
from rqen.data.batches import Shard
from rqen.inference.run_vectors import ScoringOptions
from rqen.reproduce.plan import ReproduceRequest, make_plan
from rqen.reproduce.rows import TABLES, find_row
from rqen.reproduce.work import WorkOptions, run_plan
from rqen.training.distributed import ProcessGroup

ALONE = ProcessGroup(Shard(), torch.device("cpu"))
OPTIONS = WorkOptions(ScoringOptions(n_workers=0), n_workers=0)


def test_tuned_follows_a_learned_metric_and_may_be_re_ranked():
    row = find_row("rqen+xqda+tuned")
    assert (row.name, row.run, row.label) == ("rqen_xqda_tuned", "rqen", "RQEN+XQDA, tuned")
    assert row.settings.tune
    assert row.settings.learns
    last = find_row("qan+kissme+tuned+rerank")
    assert (last.label, last.tune, last.rerank) == ("QAN+KISSME, tuned+Rerank", True, True)
    assert not find_row("rqen+xqda").settings.tune
    assert "rqen_xqda_tuned" in TABLES["table7"]


@pytest.mark.parametrize("name", ["rqen+tuned", "rqen+cosine+tuned", "rqen+xqda+rerank+tuned"])
def test_nothing_to_choose(name):
    with pytest.raises(LpwError, match=r"\+xqda\+tuned"):
        find_row(name)


def test_the_record_says_what_was_chosen_on_whom(tmp_path):
    data = make_reid(tmp_path / "d", n_rounds=8).root
    names = ("rqen+xqda", "rqen+xqda+tuned")
    request = ReproduceRequest("table7", data, tmp_path / "o", methods=names, changes=SMALL)
    plan = make_plan(request)
    assert [item.config["tune"] for item in plan.items] == [None, True]
    plain, tuned = run_plan(plan, ALONE, OPTIONS, lambda *_: None).values()
    assert plain["selection"] == []
    assert plain["run"] == tuned["run"]
    (said,) = tuned["selection"]
    assert said["persons_seen_by_model"] is True
    assert said["chosen"] in [one["settings"] for one in said["candidates"]]
    assert "by mAP on validation persons of the training part" in tuned["distance"]
    assert any("whom the model was trained on" in note for note in tuned["notes"])
