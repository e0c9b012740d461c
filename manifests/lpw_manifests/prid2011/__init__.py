"""PRID 2011: published facts and the ten common splits."""
