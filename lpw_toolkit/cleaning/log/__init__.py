"""Decisions of reviewers: their form, and the append-only log that holds them."""
