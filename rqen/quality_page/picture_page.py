"""Pictures with captions as one local HTML page: self-contained, no script, every text escaped."""

from collections.abc import Sequence
from dataclasses import dataclass

from lpw_toolkit.pages.render import list_files, read_static, render_page


@dataclass(frozen=True)
class Section:
    """One picture and what stands with it.

    Attributes:
        title: heading.
        lines: sentences below it.
        png: the picture; None for none.
        alt: what the picture shows, in words.
        table: header and rows of a table that says the picture's numbers; empty for none.
    """

    title: str
    lines: tuple[str, ...] = ()
    png: bytes | None = None
    alt: str = ""
    table: tuple[tuple[str, ...], ...] = ()


def format_page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """The page. Its policy lets nothing load but the pictures and the styles inside it."""
    styles = {name: read_static(name) for name in list_files("pictures.html")}
    return render_page("pictures.html", styles, title=title, facts=facts, sections=sections)
