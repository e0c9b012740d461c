"""The form of a line of the cleanup log."""
