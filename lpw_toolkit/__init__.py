"""From street video to person re-identification: datasets of tracklets, cleaning, evaluation.

    import lpw_toolkit as lpw
    dataset = lpw.build_tracklets("video/", weights="yolo11n.pt")
    dataset[0].images()                 # (T, H, W, 3) uint8, RGB
    lpw.evaluate_dataset(dataset, embeddings, "market").metrics

The names in `__all__` are stable; modules below may change. Nothing is imported before it is used.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.api.building import build_tracklets, import_benchmark
    from lpw_toolkit.api.cleaning import apply_decisions, read_decisions
    from lpw_toolkit.api.dataset import Dataset, open_dataset
    from lpw_toolkit.api.evaluation import evaluate, evaluate_dataset
    from lpw_toolkit.api.linking import link
    from lpw_toolkit.api.splitting import split
    from lpw_toolkit.errors import LpwError
    from lpw_toolkit.linking.config import LinkConfig

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "LinkConfig",
    "LpwError",
    "apply_decisions",
    "build_tracklets",
    "evaluate",
    "evaluate_dataset",
    "import_benchmark",
    "link",
    "open_dataset",
    "read_decisions",
    "split",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "api.building": "build_tracklets import_benchmark",
        "api.cleaning": "apply_decisions read_decisions",
        "api.dataset": "Dataset open_dataset",
        "api.evaluation": "evaluate evaluate_dataset",
        "api.linking": "link",
        "api.splitting": "split",
        "errors": "LpwError",
        "linking.config": "LinkConfig",
    },
)
