"""Real crops in LPW's layout through the whole of issue 3: import, check, embed with OSNet,
evaluate, export.

    python tests/bench/bench_mini_lpw.py

Prints one line per distance under protocol `lpw` (116 queries, 198 answers), writes
results/mini_lpw.json. OSNet x0.25 was trained on MSMT17 and never saw these persons; XQDA and
KISSME learn on scenes 2 and 3.
"""

import tempfile
from pathlib import Path

from machine import print_table, write_result

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.embedding.embeddings import read_embeddings
from lpw_toolkit.embedding.onnx_embed import embed_dataset
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, open_embedder
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.rerank import RerankConfig
from lpw_toolkit.exports.form import export_dataset

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SETTINGS = {
    "cosine": DistanceSettings("cosine"),
    "Euclidean": DistanceSettings("euclidean"),
    "XQDA": DistanceSettings("xqda"),
    "XQDA, PCA 100": DistanceSettings("xqda", pca=100),
    "KISSME, PCA 100": DistanceSettings("kissme", pca=100),
    "cosine, re-ranked (20, 6, 0.3)": DistanceSettings("cosine", rerank=RerankConfig()),
    "cosine, re-ranked (5, 2, 0.3)": DistanceSettings("cosine", rerank=RerankConfig(k1=5, k2=2)),
}
METRICS = ("cmc@1", "cmc@5", "cmc@10", "cmc@20", "map", "minp")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        import_benchmark(
            ImportConfig("lpw", SHARED / "mini_lpw", root / "lpw", allow_partial=True),
            lambda _: None,
        )
        checked = check_dataset(root / "lpw")
        options = EmbedOptions()
        embedder = open_embedder(SHARED / "weights" / "osnet_x0_25_msmt17.onnx", options)
        embed_dataset(open_index(root / "lpw"), embedder, root / "e.parquet", options)
        dataset = open_dataset(root / "lpw")
        vectors = read_embeddings(root / "e.parquet", dataset)
        rows = []
        for name, settings in SETTINGS.items():
            table = evaluate(dataset, vectors, "lpw", settings).metrics
            scores = dict(zip(table["metric"].to_pylist(), table["value"].to_pylist(), strict=True))
            rows.append(
                {"distance": name, **{metric: round(100 * scores[metric], 2) for metric in METRICS}}
            )
        exported = {
            form: export_dataset(dataset, form, root / form).n_images
            for form in ("hf", "mars", "torchreid")
        }
    print_table(
        [["distance", *METRICS], *([row[key] for key in ("distance", *METRICS)] for row in rows)]
    )
    facts = {
        "dataset_digest": dataset.manifest["digest"], "counts": dataset.manifest["counts"],
        "check": {"ok": checked.ok, "n_images": checked.n_images},
        "model": "osnet_x0_25_msmt17.onnx",
        "frames_used": "all, mean", "seed": 0, "protocol": "lpw", "n_query": 116, "n_gallery": 198,
        "results_percent": rows, "exported_images": exported,
    }  # fmt: skip
    print(f"written: {write_result('mini_lpw', facts)}")


if __name__ == "__main__":
    main()
