"""Weights of networks, one file each: what it is for, its licence, size and SHA-256, and where it
comes from."""
