"""Pictures with captions as one local HTML page: self-contained, no script, every text escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lpw_toolkit.dataset.output_folder import mark_folder, publish_folder
from lpw_toolkit.files.writing import write_file
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


def publish_page(
    out: Path,
    marker: str,
    title: str,
    facts: Sequence[tuple[str, str]],
    sections: Mapping[str, Section],
) -> list[Path]:
    """Publishes the folder `out`: index.html, and the picture of each section as a PNG that is
    named by its key. Returns the files, the page first.

    Args:
        marker: the file by which the next call knows the folder for one that it may replace.

    Errors: LpwError for an `out` that holds other things.
    """
    page = format_page(title, facts, list(sections.values()))
    pictures = {f"{name}.png": of.png for name, of in sections.items() if of.png is not None}
    with publish_folder(out, marker=marker) as folder:
        for name, content in {"index.html": page.encode(), **pictures}.items():
            write_file(folder / name, content)
        mark_folder(folder, marker)
    return [out / name for name in ("index.html", *pictures)]
