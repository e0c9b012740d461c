"""Planted noise, the paper's claim made testable: in half of a tracklet's frames one region of the
body is spoiled.

    dataset -> plan.py (who is spoiled where, from a seed) -> spoil.py (pixels) -> planting.py -> a
    dataset, and a mask vectors and scores of a run, mask -> proof.py -> hits of every query, AUC of
    scores -> bootstrap.py: who leads

The mask lies outside the dataset: no loss, sampler or model selection ever sees it.
"""
