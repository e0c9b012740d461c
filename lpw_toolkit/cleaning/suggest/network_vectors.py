"""Vectors of the sampled frames by a re-identification network of the catalogue, for the time of
one `lpw clean --suggest`."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.embedding.onnx_embed import embed_dataset
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, fit_to_entry, open_embedder
from lpw_toolkit.files.opening import follow_links
from lpw_toolkit.networks.catalogue import CatalogueEntry
from lpw_toolkit.networks.weights import find_named


@contextmanager
def write_sampled_vectors(root: Path, entry: CatalogueEntry, n_frames: int) -> Iterator[Path]:
    """A Parquet file with the vectors of `n_frames` frames of each tracklet, evenly spaced, of the
    dataset at `root`; it is removed after the block.

    Errors: LpwError as `find_named`, `open_embedder` and `embed_dataset`.
    """
    options = fit_to_entry(EmbedOptions(frames=n_frames, per_frame=True), entry)
    embedder = open_embedder(find_named(entry.name, "re-id").path, options)
    with tempfile.TemporaryDirectory(prefix="lpw-vectors-") as name:
        out = follow_links(Path(name)) / f"{entry.name}.parquet"
        embed_dataset(open_index(root), embedder, out, options)
        yield out
