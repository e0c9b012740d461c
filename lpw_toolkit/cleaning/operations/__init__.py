"""What a reviewer can decide: one file for each operation (`cleaning/operation.py`)."""
