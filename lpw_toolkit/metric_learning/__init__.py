"""Metrics learned from training tracklets, and re-ranking by shared neighbours."""
