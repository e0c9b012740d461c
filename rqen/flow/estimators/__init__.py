"""Estimators of dense optical flow, one file each (contract: rqen/flow/optical_flow.py)."""
