"""Clips for training: frames of a tracklet, sampled and decoded as tensors."""
