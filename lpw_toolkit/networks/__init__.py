"""Other people's networks: weights files that are checked before they are read, and the runtimes
that run them."""
