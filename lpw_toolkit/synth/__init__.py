"""A synthetic street with exact ground truth (`lpw synth`).

Textured walkers pass several cameras, as real video files, with simulated detections.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.synth.street import (
        STREETS,
        NoiseConfig,
        Street,
        StreetConfig,
        open_street,
        write_street,
    )

__all__ = ["STREETS", "NoiseConfig", "Street", "StreetConfig", "open_street", "write_street"]

__getattr__, __dir__ = lazy_names(
    __name__, {"street": "STREETS NoiseConfig Street StreetConfig open_street write_street"}
)
