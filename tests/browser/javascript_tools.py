"""Where the tools of JavaScript are."""

import os
import shutil

import pytest


def find_tool(name: str) -> str:
    """The program `name`; the test is skipped where it is missing, and fails in CI.

    `npm install` beside a copy of package.json puts biome and tsc into node_modules/.bin.
    """
    found = shutil.which(name)
    if found is None:
        reason = f"no {name} on this machine's PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
