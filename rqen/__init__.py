"""The learning side: RQEN and the methods it is compared with. `RQEN` is a `torch.nn.Module`,
`load` opens a finished run."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rqen.embedder import RQEN, TrackletModel, load

__all__ = ["RQEN", "TrackletModel", "load"]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: `import rqen` does not import torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("rqen.embedder"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
