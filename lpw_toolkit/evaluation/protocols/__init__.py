"""Evaluation protocols, one file each; `evaluation.protocol` says what a file provides."""
