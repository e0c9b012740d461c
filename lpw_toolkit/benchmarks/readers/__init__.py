"""Readers of published datasets, one file each; `benchmarks.reader` says what a file provides."""
