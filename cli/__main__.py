"""`python -m cli` is `lpw`."""

from cli.main import run

run()
