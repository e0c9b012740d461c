"""Tracklets beside ground truth: purity, cleanup cost and tracking metrics."""
