"""Facts as data: schemas and numbers that the other packages read through importlib.resources."""
