"""The tree holds its shape: imports go one way, no torch in the WebUI's process, no work at import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lib_copier"

LEAVES = {
    "",
    "errors",
    "edge",
    "border",
    "files",
    "markup",
    "model_file",
    "settings",
    "txt2img",
    "environment",
    "image",
}
"""Usable by all. `image` needs Pillow, numpy, OpenCV and scikit-image only."""
LEFT = ("engines", "recipe")
RIGHT = ("lora",)
ALLOWED: dict[str, set[str]] = {
    # the side that the user sees, from the door inwards
    "app": {"host", "ui", "study", "steps", "cluster", "graph", *LEFT},
    "ui": {"host", "study", "steps", "graph", *LEFT},
    "host": {"steps", "graph", *LEFT},
    "study": {"steps", "graph", *LEFT},
    "steps": {"graph", *LEFT},
    "cluster": {"graph", *LEFT},
    "graph": {*LEFT},
    "engines": {"recipe"},
    "recipe": set(),
    # the side beyond the process border
    "worker": {"measure", "generate", "train", "models", *RIGHT},
    "measure": {"generate", "train", "models", *RIGHT},
    "generate": {"models", *RIGHT},
    "train": {"models", *RIGHT},
    "models": {*RIGHT},
    "lora": set(),
    # leaves
    "image": set(),
    "environment": {"commands"},
    "__main__": {"commands"},
}
STANDARD_ONLY = sorted(LEAVES - {"", "image"} | {"commands"})
"""run.py, install.py and the host's process load these before any package is installed."""
HEAVY = ("torch", "diffusers", "transformers", "accelerate", "scipy", "matplotlib", "optuna")
"""What the WebUI's process never loads on our behalf."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def syntax(path: Path) -> ast.Module:
    """A file's syntax tree, read once for all rules."""
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(path: Path) -> str:
    """``lib_copier/model_file/header.py`` as ``model_file.header``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, anywhere in it, with its line."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                is_module = (ROOT / Path(*whole.split("."))).is_dir() or (
                    ROOT / Path(*whole.split("."))
                ).with_suffix(".py").is_file()
                yield (whole if is_module else module), node.lineno


def own_part(module: str) -> str | None:
    """``lib_copier.model_file.header`` as ``lora.header``; None where it is not ours."""
    head, _, rest = module.partition(".")
    return rest if head == "lib_copier" else None


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_only_go_right(path: Path) -> None:
    here = dotted(path).partition(".")[0]
    wrong = []
    for module, line in imports(path):
        target = own_part(module)
        if target is None:
            continue
        part = target.partition(".")[0]
        if part == here or part in LEAVES or part in ALLOWED.get(here, set()):
            continue
        wrong.append(f"line {line}: {module}")
    assert not wrong, f"{dotted(path)} may not import: {'; '.join(wrong)}"


@pytest.mark.parametrize("part", STANDARD_ONLY)
def test_the_front_door_needs_the_standard_library_alone(part: str) -> None:
    paths = [path for path in modules() if dotted(path).partition(".")[0] == part]
    paths += [ROOT / "run.py", ROOT / "install.py"]
    for path in paths:
        foreign = [
            module
            for module, _ in imports(path)
            if module.partition(".")[0] not in sys.stdlib_module_names | {"lib_copier"}
        ]
        assert not foreign, f"{path.name} imports {foreign}"


def test_only_the_host_adapters_know_the_webui() -> None:
    knowing = {
        dotted(path)
        for path in modules()
        for module, _ in imports(path)
        if module.partition(".")[0] in ("modules", "modules_forge", "backend", "ldm_patched")
    }
    assert all(name.startswith("host.") for name in knowing), knowing


ONE_HOME = {
    "files.disk": {"json.load", "json.loads", "os.fsync", "os.replace", "os.rename", "tempfile.mkstemp"},
    "files.lock": {"fcntl.flock", "msvcrt.locking"},
}
"""What a module alone does for all: read JSON from outside, write whole files, take a lock."""


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_files_json_and_locks_have_one_home(path: Path) -> None:
    elsewhere = set().union(*(names for home, names in ONE_HOME.items() if home != dotted(path)))
    tree = syntax(path)
    used = {ast.unparse(node): node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name: line for name, line in used.items() if name in elsewhere}


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_no_child_opens_a_window(path: Path) -> None:
    """Every start of a child says how; run.py's own hands its console over."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("subprocess.Popen", "subprocess.run"):
            given = [ast.unparse(word.value) for word in node.keywords if word.arg is None]
            is_quiet = any(text.startswith(("start_options(", "heard_options(")) for text in given)
            assert is_quiet or dotted(path) == "environment.start", f"line {node.lineno}"


def run_python(code: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def names_left_of_the_border() -> list[str]:
    """Every module of the parts that live in the WebUI's process; the adapters need a WebUI to import."""
    parts = ("recipe", "engines", "graph", "cluster", "steps", "study", "host", "ui", "environment")
    found = [dotted(path) for path in modules() if dotted(path).partition(".")[0] in parts]
    return [f"lib_copier.{name}" for name in found if not name.endswith("__main__")]


def test_no_torch_in_the_process_of_the_webui() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {names_left_of_the_border()!r}:\n"
        "    importlib.import_module(name)\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    assert run_python(code) == "[]"


def test_importing_writes_nothing_prints_nothing_and_starts_nothing(tmp_path: Path) -> None:
    code = (
        "import importlib, os, subprocess, sys, threading\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "def forbid(*arguments, **keywords):\n"
        "    raise AssertionError('work at import')\n"
        "subprocess.Popen.__init__ = forbid\n"
        "before = (list(sys.path), threading.active_count(), dict(os.environ))\n"
        f"for name in {names_left_of_the_border()!r}:\n"
        "    importlib.import_module(name)\n"
        "assert before == (list(sys.path), threading.active_count(), dict(os.environ))"
    )
    assert run_python(code) == ""
    assert list(tmp_path.iterdir()) == []


def top_level_calls(path: Path) -> Iterator[str]:
    """Bare calls at module level: statements that do work when the file is only loaded."""
    for node in syntax(path).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield f"line {node.lineno}: {ast.unparse(node.value)[:60]}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_no_bare_call_at_module_level(path: Path) -> None:
    assert not list(top_level_calls(path))


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_every_module_opens_with_one_sentence(path: Path) -> None:
    text = ast.get_docstring(syntax(path)) or ""
    assert text.split("\n\n")[0].rstrip().endswith((".", "!", ":", "?")), text[:80]


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_files_and_functions_keep_their_length(path: Path) -> None:
    """A file over 300 lines or a function over 60 is split; tables of texts or numbers may be longer."""
    source = path.read_text(encoding="utf-8")
    functions = [
        node for node in ast.walk(syntax(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lines = source.count("\n")
    assert lines <= 300 or not functions, f"{dotted(path)} has {lines} lines"
    for node in functions:
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        assert length <= 60, f"{dotted(path)}.{node.name} has {length} lines"


@pytest.mark.parametrize("room", ["study", "steps", "graph", "train"])
def test_every_module_of_a_room_has_its_tests_where_one_looks_for_them(room: str) -> None:
    named = {path.stem.strip("_") for path in (PACKAGE / room).glob("*.py")} - {"init"}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / room).glob("test_*.py")}
    assert not named - tests


def test_the_tree_that_contributors_read_is_the_tree() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.split("lib_copier/\n", 1)[1].split("benchmarks/", 1)[0]
    told = {name for line in tree.splitlines() for name in re.findall(r"[a-z0-9_]+", line[:24])}
    here = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("__")}
    assert not here - told
    assert {path.stem for path in PACKAGE.glob("[!_]*.py")} == {"commands", "edge", "errors"}, "a loose leaf"
    modules_and_rooms = {dotted(path) for path in modules()}
    assert modules_and_rooms >= LEAVES, "a leaf that is gone"


def test_no_checkpoint_is_known_by_its_name() -> None:
    """What suits a file stands in the file; the demo's command and the page's list know its place."""
    naming = {
        dotted(path)
        for path in modules()
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Constant) and "copier-demo" in str(node.value)
    }
    assert naming == {"engines.locate"}
    source = (PACKAGE / "engines" / "locate.py").read_text(encoding="utf-8")
    assert source.count("copier-demo") == 1
    calling = {dotted(path) for path in modules() if "demo_checkpoint" in path.read_text(encoding="utf-8")}
    assert calling == {"engines.locate", "app.demo", "app.serve"}


def test_samplers_are_listed_once() -> None:
    """In `txt2img.pictures` for everybody, and in `generate.samplers` each with its mathematics."""
    from lib_copier.txt2img.pictures import SAMPLERS

    lists = []
    for path in modules():
        for node in ast.walk(syntax(path)):
            parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
            named = {part.value for part in parts if isinstance(part, ast.Constant)}
            lists += [dotted(path)] if len(named & set(SAMPLERS)) > 1 else []
    assert lists == ["generate.samplers", "txt2img.pictures"]


def test_one_door_for_the_webui() -> None:
    scripts = ROOT / "scripts"
    doors = sorted(path.name for path in scripts.glob("*.py")) if scripts.is_dir() else []
    assert doors in ([], ["copier_lora.py"])
    for name in doors:
        assert len((scripts / name).read_text(encoding="utf-8").splitlines()) <= 60
    assert not (scripts / "__init__.py").exists()
    assert not (ROOT / "preload.py").exists()
