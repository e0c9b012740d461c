"""The paper's tables, ours beside them: what the paper prints, a resumable queue of runs, and the
report."""
