"""What `import lpw_toolkit` hands out: functions and classes for Python, over the packages.

Plain arguments go in (paths, NumPy arrays, DataFrames); each function says what it raises.
"""
