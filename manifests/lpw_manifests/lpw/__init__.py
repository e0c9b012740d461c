"""LPW: published facts and its one split."""
