"""Matplotlib, which draws the pictures of pages and papers; it comes with the extra `plot`."""

from lpw_toolkit.errors import LpwError, install_hint
from lpw_toolkit.files.home import settle_library


def require_matplotlib() -> None:
    """Makes sure that matplotlib can be imported and has a folder for its fonts. Errors: LpwError
    where it is missing."""
    settle_library("MPLCONFIGDIR", "matplotlib")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise LpwError(
            "pictures", "no matplotlib", "the package that draws", install_hint("plot")
        ) from error
