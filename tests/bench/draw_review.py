"""Draws the picture of the review page: the demo street, of which a scripted reviewer has done the
first part. No real person is in it.

    python tests/bench/draw_review.py --work FOLDER [--n 21] [--out docs/images/review.png]
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from bench_suggest import run_lpw
from PIL import Image
from review import Hand, clean_one, serve

from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.truth.scripted_reviewer import label_frames

SEED = 0


def draw(work: Path, n: int, out: Path) -> None:
    """The page after `n` tracklets."""
    street, root = work / "street", work / "dataset"
    if not (street / "street.json").exists():
        run_lpw("synth", street, "--preset", "demo", "--seed", SEED)
    if not (root / "dataset.json").exists():
        options = ("--boxes", street / "detections", "--out", root, "--no-cache")
        run_lpw("build-tracklets", street / "video", *options)
    suggest(root)
    dataset = open_dataset(root)
    labels = label_frames(dataset, street / "truth")
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary)
        shutil.copytree(root / "cleanup" / "suggestions", state / "suggestions")
        with serve(dataset, state) as address, Hand(state / "profile") as hand:
            hand.review(address)
            for _ in range(n):
                hand.wait_seen()
                clean_one(hand, labels[hand.text("id")])
            hand.wait_saved()
            hand.wait_seen()
            hand.wait_ahead(4)
            hand.picture(out)
    with Image.open(out) as picture:
        picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(out, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--n", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path("docs/images/review.png"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    draw(options.work.absolute(), options.n, options.out)


if __name__ == "__main__":
    main()
