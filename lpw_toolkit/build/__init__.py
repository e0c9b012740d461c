"""Video becomes a dataset: detect, link, crop, close."""
