"""The scripts of all pages: linted and formatted by biome, type-checked by tsc."""

import subprocess
from pathlib import Path

import pytest
from javascript_tools import find_tool
from moments import PATIENCE_S

import lpw_toolkit
from lpw_toolkit.review_page.routes import STATIC

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = Path(lpw_toolkit.__file__).parent
PAGES = sorted({file.parent for file in PACKAGE.rglob("*.js")})
FORMATTED = PACKAGE / "review_page" / "static"
# Not biome.json: biome takes a file of that name below its working folder for a second project.
BIOME = ("--config-path", str(HERE / "biome.lint.json"))


def run_tool(name: str, *words: str) -> None:
    command = [find_tool(name), *words]
    run = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_page_is_checked() -> None:
    assert FORMATTED in PAGES
    included = "".join(file.read_text("utf-8") for file in HERE.glob("tsconfig*.json"))
    assert [
        str(folder)
        for folder in PAGES
        if f"/{folder.relative_to(PACKAGE).as_posix()}/*.js" not in included
    ] == []


def test_the_server_hands_out_every_file() -> None:
    assert {"base.css", *(file.name for file in FORMATTED.iterdir())} == set(STATIC)


def test_no_lint() -> None:
    run_tool("biome", "lint", "--error-on-warnings", *BIOME, *map(str, PAGES), str(HERE))


def test_the_format() -> None:
    run_tool("biome", "format", *BIOME, str(FORMATTED), str(HERE))


@pytest.mark.parametrize("config", ["tsconfig.json", "tsconfig.pages.json"])
def test_the_types(config: str) -> None:
    run_tool("tsc", "--project", str(HERE / config))
