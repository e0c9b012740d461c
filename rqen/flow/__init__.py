"""Dense optical flow between consecutive frames of a tracklet."""
