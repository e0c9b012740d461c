"""Corruption study: one body region is corrupted in half the frames of each tracklet.

    dataset         --plan.py: which frames and region, from a seed; corrupt.py: pixels; inject.py
                    --> a corrupted dataset, and a mask
    run and mask    --evaluate.py--> hits of every query, AUC of region scores
    hits            --lpw_toolkit.evaluation.bootstrap--> which method leads, with its interval

The mask lies outside the dataset: no loss, sampler or model selection ever sees it.
"""
