"""Boxes of persons in frames: the contract of a detector, its stage of a build, inference and
poses."""
