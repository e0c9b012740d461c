"""A trained run's vector of every frame, for `lpw clean --suggest`: corrupted regions
count less.

    f = [ w_1 f_1 / |f_1|, …, w_R f_R / |f_R| ],    w_r = sqrt(mu_r / sum(mu))

f_r is the feature of region r and mu_r its score, so that the cosine of two frames is the mean of
the cosines of their regions, weighted by how well both show them. A method without a predictor
weighs all alike.
"""

from contextlib import closing
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import refuse_out
from lpw_toolkit.dataset.schema import frame_embeddings_schema
from lpw_toolkit.dataset.tables import stream_table
from lpw_toolkit.embedding.embeddings import encode_facts, make_rows
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce
from lpw_toolkit.files.writing import describe_os_error
from rqen.inference.embed import estimate_embedding, iter_frames
from rqen.inference.run_vectors import ScoringOptions, describe_run, open_run


def weigh_regions(features: Tensor, scores: Tensor) -> Tensor:
    """Vectors (N, R * C) of unit length from regional features (N, R, C) and scores (N, R)."""
    shares = (scores / scores.sum(dim=1, keepdim=True).clamp_min(1e-12)).sqrt()
    return (F.normalize(features, dim=2) * shares[..., None]).flatten(1)


@torch.no_grad()
def write_frame_vectors(
    run: Path, data: Path, out: Path, options: ScoringOptions, announce: Announce | None = None
) -> tuple[int, int]:
    """Writes the vector of every frame of the dataset `data` to `out`; the number of frames, and of
    numbers each.

    Memory does not grow with the dataset. `announce` gets an estimate from a few batches.

    Errors: as `scoring.embed_run`; LpwError for a file that cannot be written.
    """
    refuse_out(out)
    opened = open_run(run, options)
    index = open_index(data, source=options.images)
    names = np.array(index.tracklets["tracklet_id"].to_pylist(), dtype=object)
    owner = np.repeat(np.arange(len(index)), np.diff(index.starts))
    if announce is not None:
        every = np.arange(len(index))
        announce(estimate_embedding(opened.network, index, every, opened.embed, per_frame=True))
    facts = encode_facts(describe_run(run, opened, index.dataset))
    frames = iter_frames(opened.network, index, np.arange(len(owner)), opened.embed)
    first = 0
    try:
        with closing(frames):
            pieces = (weigh_regions(*piece) for piece in frames)
            head = next(pieces)
            schema = frame_embeddings_schema(head.shape[1])
            schema = schema.with_metadata({**schema.metadata, **facts})
            with stream_table(out, schema) as append:
                for vectors in chain([head], pieces):
                    rows = np.arange(first, first + len(vectors))
                    positions = rows - index.starts[owner[rows]]
                    append(
                        make_rows(
                            schema, names[owner[rows]].tolist(), vectors.numpy(), positions.tolist()
                        )
                    )
                    first += len(vectors)
    except OSError as error:
        do = "free space or name another file"
        raise LpwError(out, describe_os_error(error), "a file that can be written", do) from error
    return first, head.shape[1]
