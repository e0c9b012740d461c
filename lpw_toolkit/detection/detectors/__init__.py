"""Detectors, one file each; `detection.detector` says what a file provides."""
