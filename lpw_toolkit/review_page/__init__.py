"""The page on which a person cleans tracklets (`lpw clean --review`).

A server on loopback alone, one session for each reviewer, and the page in `static/`.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.review_page.server import ServeOptions, serve_review

__all__ = ["ServeOptions", "serve_review"]

__getattr__, __dir__ = lazy_names(__name__, {"server": "ServeOptions serve_review"})
