"""Losses, one file each (contract: rqen/loss.py)."""
