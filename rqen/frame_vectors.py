"""A trained run's vector of every frame, for `lpw clean --suggest`: looks in which spoiled regions count less.

    f = [ w_1 f_1 / |f_1|, …, w_R f_R / |f_R| ],    w_r = sqrt(mu_r / sum(mu))

f_r is the feature of region r and mu_r its score, so that the cosine of two frames is the mean of the cosines of their
regions, weighted by how well both show them. A method without a predictor weighs all alike.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from lpw_toolkit.dataset import refuse_inside_dataset
from lpw_toolkit.embeddings import encode_facts
from lpw_toolkit.errors import LpwError
from lpw_toolkit.index import open_index
from lpw_toolkit.publish import describe_os_error
from lpw_toolkit.schema import frame_embeddings_schema
from lpw_toolkit.tables import stream_table
from rqen.embed import iter_frames
from rqen.scoring import ScoringOptions, describe_run, open_run


def weigh_regions(features: Tensor, scores: Tensor) -> Tensor:
    """Vectors (N, R * C) of unit length from regional features (N, R, C) and scores (N, R)."""
    shares = (scores / scores.sum(dim=1, keepdim=True).clamp_min(1e-12)).sqrt()
    return (F.normalize(features, dim=2) * shares[..., None]).flatten(1)


@torch.no_grad()
def write_frame_vectors(run: Path, data: Path, out: Path, options: ScoringOptions) -> tuple[int, int]:
    """Writes the vector of every frame of the dataset `data` to `out`; the number of frames, and of numbers each.

    Memory does not grow with the dataset. Errors: as `scoring.embed_run`; LpwError for a file that cannot be written.
    """
    refuse_inside_dataset(out)
    opened = open_run(run, options)
    index = open_index(data, source=options.images)
    names = np.array(index.tracklets["tracklet_id"].to_pylist(), dtype=object)
    owner = np.repeat(np.arange(len(index)), np.diff(index.starts))
    first, dimension = 0, 0
    facts = encode_facts(describe_run(run, opened, index.dataset))
    try:
        pieces = iter_frames(opened.network, index, np.arange(len(owner)), opened.embed)
        head = weigh_regions(*next(pieces))
        dimension = head.shape[1]
        schema = frame_embeddings_schema(dimension)
        schema = schema.with_metadata({**schema.metadata, **facts})
        with stream_table(out, schema) as append:
            while head is not None:
                rows = np.arange(first, first + len(head))
                positions = (rows - index.starts[owner[rows]]).astype(np.int32)
                values = pa.array(np.ascontiguousarray(head.numpy(), dtype=np.float32).ravel())
                vectors = pa.FixedSizeListArray.from_arrays(values, type=schema.field("embedding").type)
                ids = pa.array(names[owner[rows]].tolist(), pa.string())
                columns = {"tracklet_id": ids, "position": pa.array(positions), "embedding": vectors}
                append(pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema))
                first += len(head)
                piece = next(pieces, None)
                head = None if piece is None else weigh_regions(*piece)
    except OSError as error:
        do = "free space or name another file"
        raise LpwError(out, describe_os_error(error), "a file that can be written", do) from error
    return first, dimension
