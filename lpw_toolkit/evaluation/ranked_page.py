"""Ranked results as one HTML page: the queries with the lowest AP first, and their gallery matches,
correct and wrong ones in different frames.

Everything is inside the file. A content security policy keeps it from reaching anything else, and
ids are only ever shown as text.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, refuse_out
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.errors import CorruptCropError, LpwError
from lpw_toolkit.files import writing
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.pages.render import encode_data, list_files, read_static, render_page
from lpw_toolkit.pages.sprites import TILE_HEIGHT_PX, encode_strip, read_crop
from lpw_toolkit.progress import show_progress

MAX_CROPS = 20_000
_MAX_WIDTH_PX = 74


@dataclass(frozen=True)
class Answer:
    """One result of a query.

    Attributes:
        tracklet_id: the gallery tracklet.
        distance: finite; shown with four digits.
        right: whether it shows the person of the query.
        rank: from 1, without the junk of the query.
    """

    tracklet_id: str
    distance: float
    right: bool
    rank: int


@dataclass(frozen=True)
class RankedQuery:
    """A query with its best answers.

    Attributes:
        tracklet_id: the query.
        ap: average precision in [0, 1].
        first_rank: rank of the first right answer, from 1.
        n_relevant: right answers in the gallery.
        answers: best first; what the query must not see is left out.
    """

    tracklet_id: str
    ap: float
    first_rank: int
    n_relevant: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class About:
    """What the numbers must be read with.

    Attributes:
        title: heading of the page.
        facts: name and value of each (dataset digest, protocol, gallery, junk rule, AP form,
            distance, frames used, …), in the order in which they are shown.
        skipped: queries without any right answer; each is named.
        n_query: queries that were ranked; None: those that are given.
    """

    title: str
    facts: dict[str, str]
    skipped: tuple[str, ...] = ()
    n_query: int | None = None


def pick_worst(ap: NDArray[np.float64], first_rank: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Places of the `n` worst queries, worst first: lowest AP, then deepest first right answer,
    then order."""
    return np.lexsort((-first_rank, ap))[:n].astype(np.int64)


def write_ranked_page(
    dataset: Dataset,
    out: Path,
    queries: Sequence[RankedQuery],
    about: About,
    *,
    max_queries: int = 50,
    max_answers: int = 10,
) -> list[str]:
    """Publishes the page at `out`: the `max_queries` worst of `queries`, the first `max_answers`
    answers of each.

    Where none of these is right, the first right one among `answers` stands after them.

    Returns: one line for each crop that could not be shown; the page marks its place.
    Errors: LpwError for no query, an id that the dataset lacks, a number out of range, more than
    MAX_CROPS crops, or an `out` inside a dataset.
    """
    refuse_out(out)
    if max_queries < 1 or max_answers < 1:
        got = f"{max_queries} queries, {max_answers} answers"
        raise LpwError("ranked page", got, "at least one of each", "raise the numbers")
    worst = pick_worst(
        np.array([q.ap for q in queries]),
        np.array([q.first_rank for q in queries], dtype=int),
        max_queries,
    )
    shown = [
        replace(queries[i], answers=_cut(queries[i].answers, max_answers)) for i in worst.tolist()
    ]
    _check(shown)
    if len(shown) * (max_answers + 2) > MAX_CROPS:
        got = f"{len(shown):,} queries with {max_answers:,} answers"
        raise LpwError("ranked page", got, f"at most {MAX_CROPS:,} crops", "lower the numbers")
    names = [name for q in shown for name in (q.tracklet_id, *(a.tracklet_id for a in q.answers))]
    rows = _find_rows(dataset, list(dict.fromkeys(names)))
    tracklets, problems = _draw_tracklets(dataset, rows)
    data = {
        "title": about.title,
        "facts": list(about.facts.items()),
        "skipped": list(about.skipped),
        "n_query": len(queries) if about.n_query is None else about.n_query,
        "n_answers": max_answers,
        "tracklets": tracklets,
        "queries": _describe_queries(shown, {name: i for i, name in enumerate(rows)}),
    }
    writing.atomic_write_text(out, format_page(data))
    return problems


def format_page(data: dict[str, Any]) -> str:
    """The page with its styles, script and data inside."""
    files = {name: read_static(name) for name in list_files("ranked.html")}
    return render_page("ranked.html", {**files, "data.js": encode_data(data)})


def _cut(answers: tuple[Answer, ...], n_most: int) -> tuple[Answer, ...]:
    """The first `n_most`; where none of them is right, also the first that is."""
    first, rest = answers[:n_most], answers[n_most:]
    right = [answer for answer in rest if answer.right][:1]
    return first if any(answer.right for answer in first) else (*first, *right)


def _check(queries: Sequence[RankedQuery]) -> None:
    if not queries:
        raise LpwError(
            "ranked page",
            "no query with a correct match",
            "at least one",
            "choose another protocol or split",
        )
    for query in queries:
        numbers = [query.ap, *(answer.distance for answer in query.answers)]
        if (
            not all(math.isfinite(number) for number in numbers)
            or not 0 <= query.ap <= 1
            or query.first_rank < 1
        ):
            got = "an AP, rank or distance out of range"
            raise LpwError(
                f"query {query.tracklet_id}", got, "AP in [0, 1], ranks from 1", "evaluate again"
            )


def _find_rows(dataset: Dataset, names: list[str]) -> dict[str, int]:
    """The row of each of `names` in the table of tracklets."""
    found = pc.index_in(
        pa.array(names, pa.string()), value_set=dataset.tracklets["tracklet_id"].combine_chunks()
    )
    if found.null_count:
        strange = names[found.is_null().to_pylist().index(True)]
        raise LpwError(
            dataset.root,
            f"no tracklet {strange}",
            "the dataset that was evaluated",
            "name that one",
        )
    return dict(zip(names, found.to_pylist(), strict=True))


def _describe_queries(queries: list[RankedQuery], number: dict[str, int]) -> list[dict[str, Any]]:
    by_name = sorted(range(len(queries)), key=lambda i: natural_key(queries[i].tracklet_id))
    place = {i: k for k, i in enumerate(by_name)}
    return [
        {
            "tracklet": number[query.tracklet_id],
            "ap": round(float(query.ap), 6),
            "first_rank": int(query.first_rank),
            "n_relevant": int(query.n_relevant),
            "place": place[i],
            "answers": [
                {
                    "tracklet": number[answer.tracklet_id],
                    "distance": f"{answer.distance:.4g}",
                    "right": bool(answer.right),
                    "rank": int(answer.rank),
                }
                for answer in query.answers
            ],
        }
        for i, query in enumerate(queries)
    ]


def _draw_tracklets(
    dataset: Dataset, rows: dict[str, int]
) -> tuple[list[dict[str, Any]], list[str]]:
    """What the page knows of each tracklet, with the crop in its middle; and a line for each crop
    that cannot be read."""
    ranges, problems, described = FrameRanges(dataset), [], []

    def draw(row: int) -> str | CorruptCropError:
        frames = ranges.frames(row)
        middle = (
            frames.slice(frames.num_rows // 2, 1)
            .select(["image", "sha256", "width", "height"])
            .to_pylist()[0]
        )
        try:
            strip = encode_strip(_shrink(read_crop(dataset, middle)))
            return f"data:image/jpeg;base64,{base64.b64encode(strip).decode()}"
        except CorruptCropError as error:
            return error

    table = dataset.tracklets.select(["person_id", "camera_id", "kind"]).take(
        pa.array(rows.values(), pa.int64())
    )
    with show_progress("ranked page", len(rows), "crops") as progress:
        for name, facts, crop in zip(
            rows, table.to_pylist(), prefetch(draw, rows.values()), strict=True
        ):
            progress.advance()
            if isinstance(crop, CorruptCropError):
                problems.append(str(crop))
            about = {
                "person": facts["person_id"],
                "camera": facts["camera_id"],
                "kind": facts["kind"],
            }
            described.append(
                {"id": name, **about, "crop": None if isinstance(crop, CorruptCropError) else crop}
            )
    return described, problems


def _shrink(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The crop (H, W, 3) at the height of a tile, no wider than one may be."""
    scale = min(TILE_HEIGHT_PX / crop.shape[0], _MAX_WIDTH_PX / crop.shape[1])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
