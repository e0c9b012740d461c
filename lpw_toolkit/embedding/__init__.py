"""Feature vectors of tracklets: made by ONNX models or mean colours, read and written as
Parquet."""
