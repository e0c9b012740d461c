"""The container image without a container: no base image can be pulled where the tests run."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from source_lines import ROOT

TEXT = (ROOT / ".ci" / "Dockerfile").read_text("utf-8")
#: Debian's packages of libraries that wheels expect of the system.
PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}


def test_its_pip_line_is_that_of_the_readme():
    (line,) = re.findall(r"^RUN pip install --no-cache-dir \"/lpw(\[.*\])\"$", TEXT, re.MULTILINE)
    assert f'pip install -e ".{line}"' in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.skipif(shutil.which("ldd") is None, reason="no ldd")
def test_it_has_the_libraries_that_opencv_links():
    spec = find_spec("cv2")
    assert spec is not None and spec.origin is not None
    (module,) = Path(spec.origin).parent.glob("cv2*.so")
    linked = subprocess.run(["ldd", module], capture_output=True, text=True, check=True).stdout
    for library, package in PACKAGES.items():
        if f"{library} => /" in linked and "opencv" not in linked.split(library)[1].split("(")[0]:
            assert package in TEXT.split()
    assert "not found" not in linked


def test_the_minimal_command_needs_no_root():
    assert TEXT.index("USER reviewer") > TEXT.index("RUN pip install")
