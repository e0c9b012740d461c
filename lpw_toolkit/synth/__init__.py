"""A synthetic street with exact ground truth: textured walkers in several cameras, as real video
files."""
