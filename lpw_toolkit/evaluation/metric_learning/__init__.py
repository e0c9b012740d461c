"""Learned metrics, one file each; `lpw_toolkit.evaluation.learned_distance` is their contract."""
