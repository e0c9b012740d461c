"""Learned distances and re-ranking, one file each."""
