"""`python -m lpw_cli` is `lpw`."""

from lpw_cli.main import run

run()
