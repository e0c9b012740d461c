"""`lpw pack`: the images of a dataset in one file for random reading."""

from pathlib import Path

import click

from lpw_cli.options import FOLDER, json_option, open_named
from lpw_cli.say import say, say_json
from lpw_toolkit.dataset.pack import PACK_FILE, write_pack
from lpw_toolkit.progress import set_style


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@json_option
def command(dataset: Path | None, *, as_json: bool) -> None:
    """Writes the images of DATASET end to end into DATASET/images.pack, each verified; training
    then reads that file.

    Nothing else of the dataset changes: `images.pack` and `pack.parquet` can be removed again.
    """
    set_style("json" if as_json else "auto")
    opened = open_named(dataset)
    pack, is_new = write_pack(opened)
    if as_json:
        say_json({"n_images": pack.n_images, "n_bytes": pack.n_bytes, "new": is_new})
        return
    done = "written" if is_new else "there already, nothing to do"
    say(f"{opened.root / PACK_FILE}: {pack.n_images} images, {pack.n_bytes} bytes, {done}")
