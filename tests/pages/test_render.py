"""Templates: every page extends the one base, and no value becomes markup."""

import re
import subprocess
import sys
from importlib import resources

import jinja2
import pytest

from lpw_toolkit.pages.render import list_files, read_static, render_page

PAGES = [
    (package, file.name)
    for package in ("lpw_toolkit.pages", "lpw_toolkit.review_page")
    for file in resources.files(package).joinpath("static").iterdir()
    if file.name.endswith(".html") and file.name != "base.html"
]
EVIL = "<img src=x onerror=alert(1)>\"' \x1b[1m \u202e{{ 7 * 7 }}"


def render_pictures(**changes):
    values = {"title": "t", "facts": [], "sections": [], **changes}
    styles = {name: read_static(name) for name in list_files("pictures.html")}
    return render_page("pictures.html", styles, **values)


def test_every_page_extends_the_base():
    assert len(PAGES) == 5
    for package, name in PAGES:
        text = resources.files(package).joinpath("static", name).read_text("utf-8")
        assert text.startswith('{% extends "base.html" %}\n')
        assert not re.search(r"<meta|<!doctype|\|\s*safe|autoescape", text)


def test_every_page_has_the_policy_the_theme_and_a_title():
    for package, name in PAGES:
        page = render_page(name, package=package, title="t", facts=[], sections=[])
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
        assert policy.startswith("default-src 'none'; img-src ")
        assert policy.split()[-4:] == ["base-uri", "'none';", "form-action", "'none'"]
        assert "unsafe" not in policy
        assert page.index("base.css") < page.index("</head>")
        assert re.search("<title>.+</title>", page)


def test_a_value_is_text():
    page = render_pictures(title=EVIL, facts=[(EVIL, EVIL)])
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert (
        page.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39; \\x1b[1m \\u202e{{ 7 * 7 }}") == 4
    )


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        render_page("pictures.html", facts=[], sections=[])
    with pytest.raises(FileNotFoundError):
        render_page("nothing.html")


def test_a_page_inside_one_file_links_nothing():
    page = render_pictures()
    assert "<link" not in page
    assert page.count("<style>") == len(list_files("pictures.html")) == 2


def test_the_commands_load_no_templates_until_a_page_is_written():
    code = (
        "import sys, lpw_cli.main, lpw_toolkit.pages.dataset_page; print('jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
