"""What griffe runs on docstrings before mkdocstrings shows them: `>>>` examples become code."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


class FencedExamples(griffe.Extension):
    """Markdown would take `>>>` for a quotation, and `[a][0]` for a link."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Puts each run of `>>>` lines with its output between fences."""
        if obj.docstring:
            text = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
            obj.docstring.value = text
