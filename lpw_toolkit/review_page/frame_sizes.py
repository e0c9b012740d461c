"""The size of the picture of each video of a dataset, from its timelines."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import TIMELINE


class FrameSizes:
    """Width and height by video, each table read once.

    Args:
        dataset: with timelines, or without.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known: dict[str, list[int]] = {}

    def find(self, video_id: str | None) -> list[int] | None:
        """Width and height (pixels) of the first frame; None where no table has them. Errors:
        MismatchError."""
        name = f"timeline/{video_id}.parquet"
        if name not in self._dataset.manifest["tables"]:
            return None
        if name not in self._known:
            columns = ["width", "height"]
            table = self._dataset.read_table(name, TIMELINE, columns=columns).slice(0, 1)
            self._known[name] = [table[column][0].as_py() for column in columns]
        return self._known[name]
