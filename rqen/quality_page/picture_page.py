"""Pictures with words as one local HTML page: nothing but its own bytes, no script, every text
escaped."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from lpw_toolkit.names import html_text
from lpw_toolkit.pages.dataset_page import read_static


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
    """The page. Its policy lets nothing load but the pictures and the style inside it."""
    style = read_static("pictures.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        f"form-action 'none'"
    )
    rows = "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(text)}</dd></div>" for name, text in facts
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light '
        'dark">\n'
        f"<title>{html_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{html_text(title)}</h1>\n<dl>{rows}</dl>\n</header>\n<main>\n"
        + "\n".join(map(_format_section, sections))
        + "\n</main>\n</body>\n</html>\n"
    )


def _format_section(section: Section) -> str:
    parts = [
        f"<h2>{html_text(section.title)}</h2>",
        *(f"<p>{html_text(line)}</p>" for line in section.lines),
    ]
    if section.png is not None:
        data = base64.b64encode(section.png).decode()
        parts.append(
            f'<div class="picture"><img src="data:image/png;base64,{data}" '
            f'alt="{html_text(section.alt)}"></div>'
        )
    if section.table:
        head, *rows = section.table
        cells = "".join(f'<th scope="col">{html_text(cell)}</th>' for cell in head)
        body = "".join(
            f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        parts.append(
            f"<details><summary>numbers</summary><div><table><thead><tr>{cells}</tr></thead>"
            f"<tbody>{body}</tbody></table></div></details>"
        )
    return f"<section>{''.join(parts)}</section>"
