"""Training recipes as TOML: read by `rqen.recipe`."""
