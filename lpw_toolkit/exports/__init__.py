"""A dataset in the forms of other tools; what a form cannot hold is listed."""
