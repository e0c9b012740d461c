"""The table of bounds: how much an untrusted file may cost before it is refused.

Each bound is checked before memory is taken or time is spent. A trusted file that is larger opens
with `lpw --limit NAME=VALUE COMMAND`, or with `LPW_LIMIT_NAME` in the environment (which child
processes inherit).
"""

import errno
import os
from typing import NamedTuple

from lpw_toolkit.errors import LpwError, OverLimitError, unknown_name


class Bound(NamedTuple):
    """One bound.

    Attributes:
        default: the most that is allowed.
        unit: of `default`.
        reason: why this much, and no more.
    """

    default: int
    unit: str
    reason: str


MiB, GiB = 1 << 20, 1 << 30

BOUNDS = {
    "json_bytes": Bound(32 * MiB, "bytes",
    "dataset.json of 20,000 videos: 20 MB; 32 MB of [] take 0.7 GB"),
    "text_bytes": Bound(256 * MiB, "bytes",
    "landmarks as text; those of LPW's 590,547 images take 140 MB"),
    "mot_bytes": Bound(64 * MiB, "bytes", "boxes of one video as text; MOT17's largest takes 3 MB"),
    "table_text_bytes": Bound(16 * MiB, "bytes", "a table of cameras: 100,000 videos take 10 MB"),
    "seqinfo_bytes": Bound(64 << 10, "bytes", "seqinfo.ini of an image sequence; MOT17's: 0.2 kB"),
    "line_bytes": Bound(1 * MiB, "bytes", "one line of a text or a log; a decision takes 0.4 kB"),
    "log_bytes": Bound(256 * MiB, "bytes",
    "a log of training or checking; 1.2 million images checked take 70 MB"),
    "decision_bytes": Bound(64 * MiB, "bytes",
    "180,000 decisions of one reviewer: 0.4 GB in memory, 9 s"),
    "image_bytes": Bound(64 * MiB, "bytes", "one encoded image; a lossless 8K frame takes 60 MB"),
    "image_pixels": Bound(64_000_000, "pixels",
    "one decoded image: 200 MB; an 8K frame has 33 million"),
    "image_scans": Bound(50, "scans",
    "of one JPEG; encoders make ten; 50 over 64 million pixels take 5 s"),
    "image_parts": Bound(65_536, "parts",
    "segments or chunks of one image; a lossless 8K frame has 7,500"),
    "table_rows": Bound(100_000_000, "rows",
    "of one table; a day of one street has 40 million boxes"),
    "table_bytes": Bound(1 * GiB, "bytes",
    "one table in memory; MARS with 1.2 million images takes 0.3 GB"),
    "splits": Bound(200, "splits", "of one dataset, 10 ms each of two cores; the benchmarks have 1 "
                                   "to 10"),
    "metrics_rows": Bound(100_000, "rows", "of a table of metrics; one run on ten splits has 200"),
    "table_pages": Bound(200_000, "pages",
    "of one table; 100 million rows have 70,000, and each costs 15 µs"),
    "footer_bytes": Bound(4 * MiB, "bytes",
    "the footer of a table; 100 million rows take 3, which parse to 1 GB"),
    "embedding_dims": Bound(65_536, "numbers",
    "in one vector; the largest known network gives 4,096"),
    "weights_bytes": Bound(2 * GiB, "bytes",
    "one file of weights, also unpacked; timm's largest takes 1.2"),
    "weights_members": Bound(20_000, "tensors",
    "in one file of weights; a large backbone has 2,000"),
    "model_seconds": Bound(30, "seconds",
    "the first answer of a model to one small image; the slowest known takes 2"),
    "model_bytes": Bound(512 * MiB, "bytes",
    "of a model's first answer, beside six times its file"),
    "model_turns": Bound(10_000, "turns",
    "of all loops of a model, one within another; networks for images have none"),
    "onnx_fields": Bound(1_000_000, "fields", "of one ONNX file, 2 s to look at; OSNet has 9,000"),
    "pickle_bytes": Bound(4 * MiB, "bytes",
    "the structure of a PyTorch file; YOLOv8n's takes 93 kB"),
    "image_side": Bound(4_096, "pixels",
    "height or width that a network is fed with; the field uses 64 to 640"),
    "recipe_bytes": Bound(1 * MiB, "bytes",
    "a recipe; ours take 2 kB, and TOML takes a second for a megabyte"),
    "recipe_parts": Bound(64, "parts",
    "of the body, or entries of any list in a recipe; the paper has 3"),
    "recipe_images": Bound(65_536, "images", "in one step of training; the largest recipe has 512"),
    "archive_members": Bound(1_500_000, "members",
    "of one archive; MARS, the largest, has 1,191,003 images"),
    "archive_folders": Bound(100_000, "folders", "that they lie in; LPW has 7,700"),
    "archive_names_bytes": Bound(160 * MiB, "bytes",
    "all names of an archive in memory; those of MARS take 100 MB"),
    "archive_bytes": Bound(256 * GiB, "bytes", "an archive unpacked; MARS takes 6 GB"),
    "archive_ratio": Bound(100, "bytes", "unpacked for each packed one; images take 1, texts 20"),
    "matlab_bytes": Bound(16 * MiB, "bytes",
    "a .mat file, and what it unpacks to; 12,180 tracks of MARS: 0.4 MB"),
    "download_bytes": Bound(1 * GiB, "bytes",
    "weights that are fetched; the largest official detector has a quarter"),
    "flow_bytes": Bound(16 * GiB, "bytes",
    "of optical flow in the cache; that of MARS, the largest public set, takes 7.3 GB"),
    "persons": Bound(1_000_000, "persons",
    "that a run was trained on; the largest public set has 0.1 million"),
}  # fmt: skip


def limit(name: str) -> int:
    """The bound `name`, as the user has set it or as the table has it.

    Errors: LpwError for a value in the environment that is no whole number.

    >>> limit("image_scans")
    50
    """
    given = os.environ.get(_variable(name))
    if given is None:
        return BOUNDS[name].default
    try:
        return _parse(given)
    except ValueError as error:
        raise LpwError(
            _variable(name), given, f"a number of {BOUNDS[name].unit}", "correct it"
        ) from error


def list_unknown() -> list[str]:
    """Variables of the environment that are named as bounds, and are none."""
    known = set(map(_variable, BOUNDS))
    return [name for name in os.environ if name.startswith(_variable("")) and name not in known]


def set_limit(text: str) -> None:
    """Sets one bound for this process and its children from `NAME=VALUE`. Errors: LpwError."""
    name, _, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if name not in BOUNDS:
        raise unknown_name("option --limit", name, sorted(BOUNDS))
    try:
        number = _parse(value)
    except ValueError as error:
        raise LpwError(
            f"option --limit {name}", value, f"a number of {BOUNDS[name].unit}", "correct it"
        ) from error
    os.environ[_variable(name)] = str(number)


def explain_limit(name: str, got: object) -> str:
    """What to say of something beyond the bound `name`: what it has, what is allowed, and how to
    allow it."""
    return (
        f"{got}, more than the {limit(name)} {BOUNDS[name].unit} allowed (--limit {name}=N "
        f"raises it)"
    )


class LargeFileError(OverLimitError, OSError):
    """A file beyond the bound called `name`; errno is EFBIG."""

    def __init__(self, name: str, n_bytes: int, path: str | None = None) -> None:
        super().__init__(errno.EFBIG, explain_limit(name, f"{n_bytes} bytes"), path)
        self.name, self.n_bytes = name, n_bytes

    def __reduce__(self) -> tuple[type["LargeFileError"], tuple[str, int, str | None]]:
        return type(self), (self.name, self.n_bytes, self.filename)


class LimitValueError(OverLimitError, ValueError):
    """Something within a file beyond a bound."""


def _variable(name: str) -> str:
    return f"LPW_LIMIT_{name.upper()}"


def _parse(text: str) -> int:
    number = int(float(text)) if "e" in text.lower() else int(text)
    if not 0 < number < 1 << 62:
        raise ValueError("out of range")
    return number
