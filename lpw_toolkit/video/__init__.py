"""Video files and image sequences: named, decoded in a process of their own, and timed exactly."""
