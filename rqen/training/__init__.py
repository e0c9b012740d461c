"""Training: the loop, its job, optimiser, processes and validation."""
