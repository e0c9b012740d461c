"""Losses, one file each; `losses.objective` sums them."""
