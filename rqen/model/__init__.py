"""RQEN as a network: backbone, regions, quality predictor and aggregation."""
