"""Backbones, one file each; `model.backbone` says what a file provides."""
