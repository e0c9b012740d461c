"""`lpw pack`: the images of a dataset in one file for random reading."""

from dataclasses import dataclass
from pathlib import Path

from lpw_cli.command import lpw_command
from lpw_cli.options import dataset_argument, open_named
from lpw_cli.say import say_result
from lpw_toolkit.dataset.pack import PACK_FILE, write_pack


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """The options of `lpw pack`."""

    dataset: Path | None


@lpw_command(PackOptions)
@dataset_argument
def command(options: PackOptions) -> None:
    """Writes the images of DATASET end to end into DATASET/images.pack and verifies each; training
    then reads that file.

    Nothing else of the dataset changes: `images.pack` and `pack.parquet` can be removed again.
    """
    opened = open_named(options.dataset)
    pack, is_new = write_pack(opened)
    done = "written" if is_new else "there already, nothing to do"
    say_result(
        {"n_images": pack.n_images, "n_bytes": pack.n_bytes, "new": is_new},
        f"{opened.root / PACK_FILE}: {pack.n_images} images, {pack.n_bytes} bytes, {done}",
    )
