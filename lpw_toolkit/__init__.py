"""The data side of the LPW toolkit: video and published benchmarks become one kind of folder of
tables and crops."""

__version__ = "0.1.0"
