"""MARS: published facts, queries, and the counts of every folder."""
