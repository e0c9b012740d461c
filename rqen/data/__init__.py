"""Clips for training: sampled, augmented, batched and loaded ahead."""
