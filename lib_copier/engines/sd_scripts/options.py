"""Which options a script takes, read from its source: asking the script itself costs seconds of imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_PARSER_FUNCTION = "setup_parser"


def script_options(checkout: Path, script: Path) -> frozenset[str]:
    """Every long option that the script's `setup_parser` adds, itself or by what it hands its parser to."""
    return _options(checkout, script, script.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _options(checkout: Path, script: Path, _changed: int) -> frozenset[str]:
    found: set[str] = set()
    done: set[tuple[Path, str]] = set()
    waiting = [(script, _PARSER_FUNCTION)]
    while waiting:
        place = waiting.pop()
        if place in done:
            continue
        done.add(place)
        module = _module(place[0])
        function = module.functions.get(place[1])
        if function is None:
            continue
        for call in _calls(function):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
                found.update(_long_names(call))
            else:
                waiting += _targets(checkout, place[0], module, call)
    return frozenset(found)


class _Module:
    """One parsed file: its functions, and where the names that it imports come from."""

    def __init__(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        self.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        self.imports: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    self.imports[name.asname or name.name] = name.name
            elif isinstance(node, ast.ImportFrom):
                # A module of the package `library` imports its neighbours relatively.
                package = ".".join(part for part in ("library" if node.level else "", node.module) if part)
                for name in node.names:
                    self.imports[name.asname or name.name] = f"{package}.{name.name}"


@lru_cache(maxsize=64)
def _module_at(path: Path, _changed: int) -> _Module:
    return _Module(path)


def _module(path: Path) -> _Module:
    return _module_at(path, path.stat().st_mtime_ns)


def _calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _long_names(call: ast.Call) -> list[str]:
    texts = [
        node.value for node in call.args if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [text for text in texts if text.startswith("--")]


def _targets(checkout: Path, path: Path, module: _Module, call: ast.Call) -> list[tuple[Path, str]]:
    """Where the called function may be defined, if that is in the checkout."""
    name = ast.unparse(call.func)
    if name in module.functions:
        return [(path, name)]
    holder, _, function = name.rpartition(".")
    dotted = f"{module.imports.get(holder, holder)}.{function}" if holder else module.imports.get(name, "")
    source, _, function = dotted.rpartition(".")
    file = checkout.joinpath(*source.split(".")).with_suffix(".py") if source else None
    return [(file, function)] if file is not None and file.is_file() else []
