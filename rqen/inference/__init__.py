"""A trained run gives feature vectors and region scores."""
