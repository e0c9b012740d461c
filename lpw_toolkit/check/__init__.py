"""`lpw check`: whether a dataset is what its own `dataset.json` and index say."""
