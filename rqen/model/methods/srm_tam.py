"""CNN+SRM+TAM: temporal attention for the vector of a tracklet, spatial recurrence as a scorer of
pairs (a reconstruction).

    distance = alpha |F_A - F_B| / 2 + (1 - alpha) (1 - p_same)

alpha is chosen after training, by the mAP of the persons who were held out of it
(`train.validation`), and stored with the weights; without such persons it stays 1/2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.labels import PERSON, Labels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.pair_scorer import PairScorer
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import judge_labels
from lpw_toolkit.evaluation.summary import summarise
from rqen.model.backbone import open_backbone
from rqen.model.clip import Clip, Description, Descriptions
from rqen.model.method import NetworkMethod, NetworkRequest
from rqen.model.pair_scores import PairScores
from rqen.model.srm_tam import SrmTam

Ints = NDArray[np.int64]
_N_ALPHAS = 21  # 0, 0.05 ... 1


@dataclass(frozen=True)
class Settings:
    """The section `[method]` of a recipe.

    Attributes:
        hidden: numbers of the vector of a tracklet.
        stages: shares of the training for identities alone, with triplets, and with pairs; in the
            rest all of them are trained.
    """

    hidden: int = 512
    stages: tuple[float, ...] = (0.4, 0.2, 0.2)


def build(request: NetworkRequest) -> SrmTam:
    """The network. Errors: LpwError for settings that are no shares."""
    settings = request.settings
    if len(settings.stages) != 3 or sum(settings.stages) > 1:
        got = f"{', '.join(f'{share:g}' for share in settings.stages)}"
        raise LpwError("method.stages", got, "three shares, 1 or less together", "correct it")
    if settings.hidden < 1:
        raise LpwError("method.hidden", f"{settings.hidden}", "1 or more", "correct it")
    backbone = open_backbone(request.backbone, request.options)
    return SrmTam(
        backbone, request.n_persons, request.size, settings.hidden, request.n_frames,
        settings.stages,
    )  # fmt: skip


def describe(network: SrmTam, clip: Clip, settings: Settings) -> Description:
    """The vector of a tracklet, and its map."""
    images = torch.from_numpy(np.ascontiguousarray(clip.images)).permute(0, 3, 1, 2)
    vector, maps = network.describe(images)
    return Description(vector.cpu().numpy(), {"map": maps[None].cpu().numpy()})


def compare(network: SrmTam, found: Descriptions, settings: Settings) -> PairScorer:
    """The weighted sum of both distances between these tracklets."""
    alpha = float(network.alpha)
    title = f"{alpha:.2g} TAM + {1 - alpha:.2g} SRM"
    return open_scorer(network, found, alpha, title)


def open_scorer(network: SrmTam, found: Descriptions, alpha: float, title: str) -> PairScorer:
    """The distance of one alpha, between tracklets by their rows."""
    maps = found.parts["map"][np.minimum(found.starts[:-1], len(found.parts["map"]) - 1)]
    scores = PairScores(network.recurrence, alpha, found.vectors, maps)
    return PairScorer(scores.measure, "srm_tam", title, n_pairs=scores.n_at_once)


def calibrate(
    network: SrmTam, held_out: Descriptions, person: Ints, camera: Ints
) -> dict[str, float]:
    """Chooses alpha among 0, 0.05 … 1 by the mAP of the held-out persons, of equals the nearest to
    1/2; returns it, with the mAP at it, of pairs alone (0) and of vectors alone (1)."""
    places = np.flatnonzero(held_out.present)
    pairs, apart = (
        open_scorer(network, held_out, alpha, "trial").blocks(places, places).block(0, len(places))
        for alpha in (0.0, 1.0)
    )
    found = judge(person[places], camera[places])
    alphas = np.linspace(0, 1, _N_ALPHAS)
    maps = [
        summarise(rank_queries(alpha * apart + (1 - alpha) * pairs, found)).map for alpha in alphas
    ]
    best = int(np.lexsort((np.abs(alphas - 0.5), -np.round(maps, 9)))[0])
    network.alpha.fill_(float(alphas[best]))
    return {"alpha": alphas[best], "map": maps[best], "map_pairs": maps[0], "map_vectors": maps[-1]}


def judge(person: Ints, camera: Ints) -> Any:
    """Who is right for whom: the same person by another camera, or, where nobody was seen by two,
    another tracklet."""
    labels = Labels(person, camera, np.full(len(person), PERSON))
    across = judge_labels(labels, labels)
    if len(across.good.columns):
        return across
    alone = Labels(person, np.arange(len(person)), labels.kind)
    return judge_labels(alone, alone)


METHOD = NetworkMethod(
    build=build,
    describe=describe,
    recipe="srm_tam",
    small_recipe="srm_tam_small",
    compare=compare,
    calibrate=calibrate,
    settings=Settings,
    metric="own",
)
