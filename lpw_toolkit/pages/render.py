"""Renders pages from the templates in `static/`: one base template, every value escaped.

`base.html` holds the content security policy, the theme and the common style; each page extends it.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Any

from lpw_toolkit.names import show_in_page, show_name

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "lpw_toolkit.pages"


def render_page(
    template: str,
    inline: Mapping[str, str] | None = None,
    *,
    package: str = _PACKAGE,
    **values: object,
) -> str:
    """The page that a template makes of `values`. Texts are shown as `show_name` shows them.

    Args:
        template: file name in `static/` of `package`.
        inline: text of each style and script by name, to put them all inside the page, where the
            policy names each by its hash; by default the page links them.
        package: where the template lies; `base.html` is found from everywhere.
        values: what the template asks for.

    Raises:
        FileNotFoundError: the package has no such template.
        jinja2.UndefinedError: a value is missing.

    >>> '<title>lpw show</title>' in render_page("show.html")
    True
    """
    return _open_templates(package).get_template(template).render(inline=inline or {}, **values)


def list_files(template: str) -> list[str]:
    """Names of the styles and scripts that a page of `static/` needs, beside its data."""
    from jinja2.nodes import Assign, Expr, Name

    assigned = {
        node.target.name: node.node.as_const()
        for node in _open_templates(_PACKAGE).parse(_read(template)).find_all(Assign)
        if isinstance(node.target, Name) and isinstance(node.node, Expr)
    }
    return ["base.css", *assigned["styles"], *assigned["scripts"]]


def read_static(name: str) -> str:
    """A file of `static/`; for a template, the page that links its styles and scripts."""
    return render_page(name) if name.endswith(".html") else _read(name)


def encode_data(data: dict[str, Any]) -> str:
    """`data` as a script. Only ASCII and no `<`: nothing in an id can end the script or the line,
    or turn a page."""
    text = json.dumps(show_in_page(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return "window.LPW_SHOW = " + text.replace("<", "\\u003c") + ";\n"


def _read(name: str, package: str = _PACKAGE) -> str:
    return resources.files(package).joinpath("static", name).read_text("utf-8")


@cache
def _open_templates(package: str) -> "Environment":
    import jinja2  # here: `lpw --help` needs no templates

    def load(name: str) -> str:
        return _read(name, _PACKAGE if name == "base.html" else package)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else show_name(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["base64"] = lambda content: b64encode(content).decode()
    environment.filters["sha256"] = lambda text: sha256(text.encode()).digest()
    return environment
