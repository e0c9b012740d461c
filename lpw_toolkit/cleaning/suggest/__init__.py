"""Which tracklets to look at first, why, and which may show the same person."""
