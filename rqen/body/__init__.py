"""Where bodies divide: joints of a dataset and the 3:2:2 of the paper."""
