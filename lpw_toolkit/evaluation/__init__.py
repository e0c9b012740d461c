"""Embeddings and a protocol become metrics: splits, distances, ranking, tables."""
