"""Feature vectors of tracklets.

ONNX models and mean colours make them; `embeddings` reads and writes them as Parquet.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.embedding.embeddings import (
        EmbeddingFacts,
        Embeddings,
        read_embeddings,
        write_embeddings,
    )
    from lpw_toolkit.embedding.mean_colour import measure_colours
    from lpw_toolkit.embedding.onnx_embed import embed_dataset
    from lpw_toolkit.embedding.onnx_embedder import EmbedOptions

__all__ = [
    "EmbedOptions",
    "EmbeddingFacts",
    "Embeddings",
    "embed_dataset",
    "measure_colours",
    "read_embeddings",
    "write_embeddings",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "embeddings": "EmbeddingFacts Embeddings read_embeddings write_embeddings",
        "mean_colour": "measure_colours",
        "onnx_embed": "embed_dataset",
        "onnx_embedder": "EmbedOptions",
    },
)
