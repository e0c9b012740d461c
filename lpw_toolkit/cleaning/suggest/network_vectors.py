"""Vectors of the sampled frames by a re-identification network of the catalogue, for the time of
one `lpw clean --suggest`."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.embedding.onnx_embed import embed_dataset
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, fit_to_entry, open_embedder
from lpw_toolkit.files.opening import exists, follow_links
from lpw_toolkit.networks.catalogue import find_entry
from lpw_toolkit.networks.weights import find_named


@contextmanager
def take_vectors(
    root: Path, given: Path | None, n_frames: int, log: Callable[[str], None]
) -> Iterator[Path | None]:
    """The embeddings that the user gives; where they are a network's name, written for this block.

    Args:
        root: of the dataset.
        given: a file, or the name of a re-id network of the catalogue.
        n_frames: frames of each tracklet that such a network sees, evenly spaced.
        log: gets one line about it.

    Errors: LpwError as `find_named`, `open_embedder` and `embed_dataset`.
    """
    known = given is not None and not exists(given)
    entry = find_entry(str(given), "re-id") if known else None
    if entry is None:
        yield given
        return
    log(f"vectors by {entry.name}: {entry.describe()}")
    options = fit_to_entry(EmbedOptions(frames=n_frames, per_frame=True), entry)
    embedder = open_embedder(find_named(entry.name, "re-id").path, options)
    with tempfile.TemporaryDirectory(prefix="lpw-vectors-") as name:
        out = follow_links(Path(name)) / f"{entry.name}.parquet"
        embed_dataset(open_index(root), embedder, out, options)
        yield out
