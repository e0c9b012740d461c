"""Raw trees: a folder, a .zip or a .tar (.gz, .bz2, .xz), read without being unpacked by its own
paths."""
