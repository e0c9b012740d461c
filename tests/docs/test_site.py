"""The site: generated pages are up to date, it builds without a warning, pages fetch nothing."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow as pa
import pytest
from moments import PATIENCE_S
from pages import DOCS, ROOT, find_blocks

from lpw_toolkit.dataset import schema


def run_python(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """A Python process in the project's folder."""
    command = [sys.executable, *map(str, arguments)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S
    )


def test_generated_pages_are_up_to_date():
    done = run_python("docs/config/generate.py", "--check")
    assert done.returncode == 0, f"{done.stdout}run: python docs/config/generate.py\n{done.stderr}"


def test_the_index_of_commands_links_each():
    text = (DOCS / "cli" / "index.md").read_text("utf-8")
    pages = {page.name for page in (DOCS / "cli").glob("*.md")} - {"index.md"}
    assert set(re.findall(r"^\[`[a-z-]+`\]\(([a-z-]+\.md)\)$", text, re.MULTILINE)) == pages


def test_the_design_names_every_layer():
    """Those that import-linter checks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == ["lpw_toolkit"]]
    names = [name for layer in layers for name in re.split(r"\W+", layer)]
    text = (DOCS / "design.md").read_text("utf-8").partition("## Inside `lpw_toolkit`")[2]
    table = text.partition("\n## ")[0]
    assert [one for one in names if f"`{one}`" not in table and f"`{one}.py`" not in table] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; strict: a dead link or a page that no menu names is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = run_python(
        "-m", "mkdocs", "build", "--strict", "-f", "docs/config/mkdocs.yml", "--site-dir", folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_fetch_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text("utf-8")
        fetched = re.findall(r"<(?:script|img|iframe|source)[^>]* src=\"([^\"]+)", text)
        fetched += re.findall(r"<link[^>]* href=\"([^\"]+)", text)
        assert not [one for one in fetched if re.match(r"(https?:)?//", one)], page


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 10
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_data_contract_names_every_column_in_order():
    text = (DOCS / "data-contract.md").read_text("utf-8")
    sections = dict(re.findall(r"^### (\w+)$(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    for name in (
        "tracklets",
        "frames",
        "splits",
        "detections",
        "timeline",
        "pack",
        "embeddings",
        "quality",
        "metrics",
    ):
        table = (
            schema.embeddings_schema(2) if name == "embeddings" else getattr(schema, name.upper())
        )
        assert isinstance(table, pa.Schema)
        shown = re.findall(r"^\| `(\w+)`( \?)? \|", sections[name], re.MULTILINE)
        assert shown == [(field.name, " ?" if field.nullable else "") for field in table], name


def test_every_figure_has_a_command_that_exists():
    text = (DOCS / "benchmarks.md").read_text("utf-8")
    for title, section in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE):
        assert "```sh\npython tests/bench/" in section, title
    commands = "\n".join(find_blocks(DOCS / "benchmarks.md", "sh"))
    files = set(re.findall(r"tests/bench/\w+\.py", commands))
    assert len(files) > 15 and not [file for file in files if not (ROOT / file).is_file()]
