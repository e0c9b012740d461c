"""The rules of the house, read from the source: who writes, who lists, what is imported where, how
long things are."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from moments import PATIENCE_S
from source_lines import ROOT, iter_functions

PACKAGES = ("lpw_toolkit", "rqen", "cli", "manifests")
MAX_FUNCTION_LINES, MAX_FILE_LINES = 50, 400
DOORS = "lpw_toolkit/files/"

HEAVY = {
    "torch",
    "torchvision",
    "ultralytics",
    "av",
    "openvino",
    "onnxruntime",
    "trackeval",
    "starlette",
}
LISTING_CALLS = {"glob", "rglob", "iglob", "iterdir", "listdir", "scandir", "walk", "fwalk"}
WRITING_CALLS = {
    "write_text", "write_bytes", "imwrite", "imwritemulti", "savetxt", "savez", "savez_compressed",
    "tofile",
    "to_parquet", "to_csv", "to_pickle", "to_excel", "write_parquet", "write_csv", "copyfile",
    "copytree",
    "copy2", "move", "hardlink_to", "symlink_to", "rename", "VideoWriter", "mkstemp",
    "NamedTemporaryFile", "rmtree",
    "unlink", "mkdir", "makedirs", "rmdir", "touch", "truncate", "ftruncate",
}  # fmt: skip
#: Calls by full name, where the last word alone says too little.
WRITING_NAMES = {
    "np.save",
    "torch.save",
    "json.dump",
    "pickle.dump",
    "pq.write_table",
    "shutil.copy",
    "cv2.FileStorage",
    "os.remove",
    "os.replace",
    "os.link",
    "os.symlink",
}
READING_CALLS = {
    "read_text", "read_bytes", "imread", "fromfile", "memmap", "np.load", "loadtxt", "genfromtxt",
    "safe_open",
    "load_file", "read_metadata", "read_schema", "mmap",
}  # fmt: skip
#: Where the whole name tells that a path is opened, though the last word alone does not.
READING_NAMES = {
    "open",
    "io.open",
    "os.open",
    "os.listdir",
    "pq.read_table",
    "Image.open",
    "tarfile.open",
    "np.load",
}
OPENING_MODULES = {
    "io",
    "os",
    "av",
    "zipfile",
    "tarfile",
    "gzip",
    "bz2",
    "lzma",
    "codecs",
    "wave",
    "Image",
}

#: (file, call): why it may. Whoever adds a line here needs a reason that `lpw_toolkit/files` cannot
#: serve.
MAY_WRITE = {
    ("cli/lpw_cli/main.py", "os.open"): "/dev/null in place of a closed standard output",
    ("lpw_toolkit/dataset/mot_text.py", "np.savetxt"): "into memory; atomic_write_text writes it",
    ("lpw_toolkit/synth/street.py", "av.open"): "into memory; atomic_write writes it",
    (
        "lpw_toolkit/video/process.py",
        "os.ftruncate",
    ): "memory that two processes share (memfd), no file",
}
MAY_READ = {
    (
        "lpw_toolkit/video/process.py",
        "mmap.mmap",
    ): "memory that two processes share (memfd), no file",
    ("lpw_toolkit/video/ring.py", "mmap.mmap"): "memory that two processes share (memfd), no file",
    ("cli/lpw_cli/main.py", "os.open"): "/dev/null in place of a closed standard output",
}
#: What prints, warns or writes a table that people open: each text would have to be made safe there
#: again.
PRINTING_CALLS = {
    "print",
    "echo",
    "secho",
    "echo_via_pager",
    "warn",
    "print_exc",
    "print_exception",
    "pprint",
}
PRINTING_NAMES = {
    "sys.stdout.write",
    "sys.stderr.write",
    "logging.getLogger",
    "csv.writer",
    "csv.DictWriter",
    "html.escape",
}
MAY_PRINT = {
    ("cli/lpw_cli/say.py", "click.echo"): "the one way to the terminal",
    (
        "lpw_toolkit/progress.py",
        "print",
    ): "the other one: lines of progress, which pass `show_name`",
    ("lpw_toolkit/names.py", "csv.writer"): "the one way into a CSV",
    ("lpw_toolkit/names.py", "html.escape"): "the one way into a page",
    ("rqen/run/run_folder.py", "csv.DictWriter"): "the log of a run: numbers of our own",
}
#: Decoders of pictures, which `lpw_toolkit/dataset/image_codec.py` alone calls: only it vets them
#: first.
DECODING_CALLS = {
    "imdecode", "imdecodemulti", "imdecodeanimation", "imread", "imreadmulti", "imreadanimation",
    "VideoCapture",
    "imiter", "decode_jpeg", "decode_png",
}  # fmt: skip
MAY_LIST: dict[tuple[str, str], str] = {}
MAY_IMPORT_HEAVY = {
    ("lpw_toolkit/video/decode.py", "av"): "imported only in the decoding child process",
    ("lpw_toolkit/video/orientation.py", "av"): "imported only by video.decode",
    **{
        (f"lpw_toolkit/clips/{name}.py", "torch"): "its classes are torch's; only training needs it"
        for name in ("clips", "clip_loader")
    },
}

REGISTRIES = (
    "pypi" + ".org", "files.python" + "hosted.org", "registry.npm" + "js", "npm" + "js.com",
    "conda.ana" + "conda.org",
    "proxy.golang" + ".org", "crates" + ".io", "rubygems" + ".org", "repo.maven" + ".apache.org",
    "docker" + ".io",
)  # fmt: skip


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the packages, by its path in the repository."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text("utf-8")) for file in files}


def iter_calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the dotted name that is called (`?` for what is no name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def opens_for_writing(name: str, call: ast.Call) -> bool:
    last = name.rsplit(".", maxsplit=1)[-1]
    if name == "os.open":
        return any(
            flag in ast.dump(call)
            for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC")
        )
    if last not in ("open", "fdopen", "ZipFile", "TarFile"):
        return False
    of_module = (
        name in ("open", "ZipFile") or name.split(".")[0] in OPENING_MODULES
    )  # otherwise of a Path: mode first
    values = [
        *(call.args[1:2] if of_module else call.args[:1]),
        *(word.value for word in call.keywords if word.arg == "mode"),
    ]
    modes = [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return any(set(mode) <= set("rwaxbt+U") and set(mode) & set("wax+") for mode in modes)


def is_writer(name: str, call: ast.Call) -> bool:
    last = name.rsplit(".", maxsplit=1)[-1]
    return last in WRITING_CALLS or name in WRITING_NAMES or opens_for_writing(name, call)


def is_reader(name: str, call: ast.Call) -> bool:
    """Whether a path is opened; the package's own files, read by importlib.resources, are no
    stranger's."""
    last = name.rsplit(".", maxsplit=1)[-1]
    if "'resources'" in ast.dump(call.func) or "id='files'" in ast.dump(call.func):
        return False
    if last == "open" and isinstance(call.func, ast.Attribute):
        return (
            name in READING_NAMES or (bool(call.args) and _is_mode(call.args[0])) or not call.args
        )
    if last in ("read_text", "read_bytes"):  # of a Path; the doors have functions of these names
        return isinstance(call.func, ast.Attribute) and not name.startswith("opening.")
    return last in READING_CALLS or name in READING_NAMES


def _is_mode(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and set(node.value) <= set("rwaxbt+")
    )


def is_decoder(name: str, call: ast.Call) -> bool:
    return name.rsplit(".", maxsplit=1)[-1] in DECODING_CALLS or name in (
        "Image.open",
        "PIL.Image.open",
    )


def imports_of(tree: ast.AST) -> set[str]:
    """Top-level names of everything imported in `tree`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def at_import_time(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported: not the bodies of functions, nor `if
    TYPE_CHECKING`."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        waiting += [
            s
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.ExceptHandler)
            for s in child.body
        ]


def find_faults(allowed: dict[tuple[str, str], str], home: str, is_fault: object) -> list[str]:
    return [
        f"{file}:{call.lineno}: {name}"
        for file, tree in sources().items()
        for name, call in iter_calls(tree)
        if not (home and file.startswith(home))
        and is_fault(name, call)
        and (file, name) not in allowed
    ]


class TestWhoDoesWhat:
    def test_only_the_door_out_writes(self) -> None:
        assert find_faults(MAY_WRITE, DOORS, is_writer) == []

    def test_only_the_door_in_reads(self) -> None:
        assert find_faults(MAY_READ, DOORS, is_reader) == []

    def test_only_listing_lists(self) -> None:
        def is_listing(name: str, call: ast.Call) -> bool:
            return name.rsplit(".", maxsplit=1)[-1] in LISTING_CALLS and not name.startswith("ast.")

        assert find_faults(MAY_LIST, "lpw_toolkit/files/listing.py", is_listing) == []

    def test_only_one_way_leads_to_the_terminal_and_into_tables(self) -> None:
        def is_printing(name: str, call: ast.Call) -> bool:
            return name.rsplit(".", maxsplit=1)[-1] in PRINTING_CALLS or name in PRINTING_NAMES

        assert find_faults(MAY_PRINT, "", is_printing) == []

    def test_only_the_codec_decodes_pictures(self) -> None:
        assert find_faults({}, "lpw_toolkit/dataset/image_codec.py", is_decoder) == []

    def test_ultralytics_is_imported_by_one_file(self) -> None:
        importers = [file for file, tree in sources().items() if "ultralytics" in imports_of(tree)]
        assert importers in ([], ["lpw_toolkit/detection/detectors/ultralytics.py"])

    def test_nothing_heavy_is_imported_with_the_module(self) -> None:
        faults = [
            f"{file}: {name}"
            for file, tree in sources().items()
            if file.startswith(("lpw_toolkit/", "cli/"))
            for statement in at_import_time(tree)
            for name in sorted(imports_of(statement) & HEAVY)
            if (file, name) not in MAY_IMPORT_HEAVY
        ]
        assert faults == []

    def test_the_command_line_loads_nothing_heavy(self) -> None:
        code = (
            f"import lpw_cli.main, sys; print(sorted(set({sorted(HEAVY)!r}) & sys.modules.keys()))"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == "[]"

    def test_assert_is_for_tests(self) -> None:
        nodes = [(file, node) for file, tree in sources().items() for node in ast.walk(tree)]
        assert [
            f"{file}:{node.lineno}" for file, node in nodes if isinstance(node, ast.Assert)
        ] == []

    def test_no_pickle_and_no_eval(self) -> None:
        calls = {
            "eval",
            "exec",
            "pickle.load",
            "pickle.loads",
            "joblib.load",
            "marshal.loads",
            "os.system",
        }
        assert find_faults({}, "", lambda name, call: name in calls) == []

    def test_exceptions_to_the_rules_are_still_needed(self) -> None:
        for allowed in (MAY_WRITE, MAY_READ, MAY_LIST, MAY_PRINT):
            made = {
                (file, name) for file, tree in sources().items() for name, _ in iter_calls(tree)
            }
            assert set(allowed) <= made


class TestTheRulesThemselves:
    @pytest.mark.parametrize(
        "code",
        [
            "open('a', 'w')", "open('a', mode='ab')", "path.open('xb')", "io.open('a', 'r+')",
            "os.open(p, os.O_RDWR)", "p.write_text('a')", "p.write_bytes(b'')",
            "cv2.imwrite('a', b)",
            "np.save('a', b)", "table.to_parquet('a')", "json.dump(a, f)", "pq.write_table(t, p)",
            "torch.save(a, p)", "shutil.move(a, b)", "os.fdopen(1, 'w')",
        ],
    )  # fmt: skip
    def test_writers_are_seen(self, code: str) -> None:
        assert any(is_writer(name, call) for name, call in iter_calls(ast.parse(code)))

    @pytest.mark.parametrize(
        "code",
        [
            "open('a')", "path.open('rb')", "path.open()", "os.open(p, os.O_RDONLY)",
            "p.read_text()", "p.read_bytes()",
            "cv2.imread('a')", "np.load('a')", "np.fromfile('a')", "safe_open('a', 'pt')",
            "pq.read_metadata(p)",
            "Image.open(p)", "mmap.mmap(f, 0)",
        ],
    )  # fmt: skip
    def test_readers_are_seen(self, code: str) -> None:
        assert any(is_reader(name, call) for name, call in iter_calls(ast.parse(code)))

    def test_the_packages_own_files_are_no_strangers(self) -> None:
        code = "resources.files('rqen').joinpath('a').read_text('utf-8')"
        assert not any(is_reader(name, call) for name, call in iter_calls(ast.parse(code)))

    @pytest.mark.parametrize(
        "code",
        ["open('a')", "open('a', 'rb')", "p.open()", "os.open(p, os.O_RDONLY)", "av.open('a')",
        "json.dumps(a)"],
    )  # fmt: skip
    def test_readers_are_not(self, code: str) -> None:
        assert not any(is_writer(name, call) for name, call in iter_calls(ast.parse(code)))

    @pytest.mark.parametrize(
        "code", ["cv2.imdecode(a, 1)", "plt.imread('a')", "PIL.Image.open(f)", "Image.open(f)"]
    )
    def test_decoders_are_seen(self, code: str) -> None:
        assert any(is_decoder(name, call) for name, call in iter_calls(ast.parse(code)))

    def test_imports_inside_functions_are_not_seen_at_import_time(self) -> None:
        code = (
            "import os\ntry:\n    import av\nexcept ImportError:\n    import torch\ndef f():\n "
            " "
            "  import onnxruntime\n"
        )
        found = set().union(*(imports_of(s) for s in at_import_time(ast.parse(code))))
        assert found == {"os", "av", "torch"}


class TestLengths:
    def test_functions(self) -> None:
        faults = []
        for file in sources():
            for node, n_lines in iter_functions((ROOT / file).read_text("utf-8")):
                if n_lines > MAX_FUNCTION_LINES:
                    faults.append(f"{file}:{node.lineno}: {node.name} has {n_lines} code lines")
        assert faults == []

    def test_files(self) -> None:
        lengths = {file: len((ROOT / file).read_text("utf-8").splitlines()) for file in sources()}
        assert {file: n for file, n in lengths.items() if n > MAX_FILE_LINES} == {}

    def test_at_most_six_modules_beside_the_packages(self) -> None:
        flat = [file.name for file in (ROOT / "lpw_toolkit").glob("*.py")]
        assert len(set(flat) - {"__init__.py"}) <= 6

    def test_readme(self) -> None:
        assert (ROOT / "README.md").stat().st_size <= 8_192

    def test_lines_are_at_most_100_wide(self) -> None:
        files = [file for file in tracked_files() if file.suffix == ".py"]
        assert [
            f"{file}:{number}"
            for file in files
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
            if len(line) > 100
        ] == []

    def test_at_most_six_arguments_must_be_given(self) -> None:
        def n_required(node: ast.FunctionDef) -> int:
            optional = len(node.args.defaults) + sum(
                default is not None for default in node.args.kw_defaults
            )
            names = [
                a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            ]
            return len([name for name in names if name not in ("self", "cls")]) - optional

        faults = [
            f"{file}:{node.lineno}: {node.name} takes {n_required(node)}"
            for file, tree in sources().items()
            if not file.startswith("cli/")  # a command takes what its options are
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and n_required(node) > 6
        ]
        assert faults == []

    def test_module_names(self) -> None:
        banned = {"utils", "util", "common", "helper", "helpers", "manager", "misc"}
        assert [file for file in sources() if banned & set(Path(file).stem.split("_"))] == []


def list_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


class TestTests:
    def test_none_sleeps(self) -> None:
        call = "sle" + "ep("
        assert [str(file) for file in list_tests() if call in file.read_text("utf-8")] == []

    def test_none_imports_another(self) -> None:
        names = {file.stem for file in list_tests() if file.name.startswith("test_")} | {"tests"}
        assert [
            f"{file}: {name}"
            for file in list_tests()
            for name in imports_of(ast.parse(file.read_text("utf-8"))) & names
        ] == []

    def test_each_folder_is_named_after_a_package(self) -> None:
        packages = {folder.name for folder in (ROOT / "lpw_toolkit").glob("*/")}
        others = {"rqen", "cli", "browser", "house", "slow", "bench", "fixtures", "docs", "api"}
        folders = {file.relative_to(ROOT / "tests").parts[0] for file in list_tests()}
        assert {name for name in folders if "." not in name} <= packages | others


class TestRepository:
    def test_the_top_holds_what_was_agreed(self) -> None:
        top = {file.relative_to(ROOT).parts[0] for file in tracked_files()}
        assert {name for name in top if not name.startswith(".")} == {
            "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff",
            "lpw_toolkit", "rqen", "cli", "manifests", "tests", "docs",
        }  # fmt: skip

    def test_hints_name_the_way_from_a_clone(self) -> None:
        hint = "lpw-toolkit" + "["
        allowed = {"lpw_toolkit/errors.py"}
        files = [file for file in sources() if hint in (ROOT / file).read_text("utf-8")]
        assert set(files) <= allowed

    def test_no_file_names_a_package_registry(self) -> None:
        texts = {file: file.read_bytes().lower() for file in tracked_files()}
        hits = [
            f"{file}: {host}"
            for file, text in texts.items()
            for host in REGISTRIES
            if host.encode() in text
        ]
        assert hits == []

    def test_no_large_or_executable_file(self) -> None:
        assert [str(file) for file in tracked_files() if file.stat().st_size > 2_000_000] == []

    def test_nothing_half_done(self) -> None:
        marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X ")
        files = [
            file for file in tracked_files() if file.suffix in (".py", ".js", ".toml", ".html")
        ]
        assert [str(f) for f in files if any(mark in f.read_text("utf-8") for mark in marks)] == []


@pytest.mark.xdist_group("linters")
@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports", "--no-cache"],
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_linters(command: list[str], tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name(command[0])
    if command[0] in ("ruff", "mypy"):
        command = [*command, "--cache-dir", str(tmp_path)]
    run = subprocess.run(
        [str(tool), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
