"""What the program's parts say to people, read from their sources: messages as templates with ``{}``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "lib_copier"
ERRORS = frozenset({"InputError", "CopierError", "FaultsError", "ChildError", "CancelledError", "HeldError"})
SAYING = re.compile(r"faults?$|notes?$|reasons?$|differences$|advice|sentence|^_?why|changes$|_verdict$")
"""Functions that give a few words each, by what they are called."""
SAID = frozenset({"advice", "what", "note", "why", "message", "notes"})
"""Arguments and fields whose text is said."""


def messages(*places: str) -> set[str]:
    """The templates in these rooms and files of the library."""
    found: set[str] = set()
    for place in places:
        path = LIBRARY / place
        for source in [path] if path.suffix else sorted(path.rglob("*.py")):
            found.update(_of_source(source))
    return found


def _of_source(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for expression in _said_by(node):
            for text in _texts(expression, constants):
                # An address of a setting is no sentence.
                if " " in text and len(re.findall(r"\b[A-Za-z]{2,}", text.replace("{}", " "))) >= 2:
                    yield text


def _said_by(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in ERRORS:
            yield from node.args[:2] if name != "FaultsError" else node.args[2:]
        if name == "ValueError":
            yield from node.args[:1]
        if name == "append" and SAYING.search(ast.unparse(node.func).rpartition(".")[0]):
            yield from node.args
        yield from (one.value for one in node.keywords if one.arg in SAID)
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {*SAID, "sentence", "kept"}:
        yield node.value
    elif isinstance(node, ast.FunctionDef) and SAYING.search(node.name):
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Yield, ast.Return)) and inner.value is not None:
                yield inner.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in SAID:
                yield value


def _texts(node: ast.expr, constants: dict[str, ast.expr]) -> list[str]:
    """What an expression may read as; ``{}`` stands for what is known only when it runs."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else ["{}"]
    if isinstance(node, ast.JoinedStr):
        parts = [
            [str(one.value)] if isinstance(one, ast.Constant) else _texts(one.value, constants)
            for one in node.values
            if isinstance(one, (ast.Constant, ast.FormattedValue))
        ]
        return ["".join(chosen) for chosen in product(*parts)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, constants), *_texts(node.orelse, constants)]
    if isinstance(node, ast.BoolOp):
        return [text for one in node.values for text in _texts(one, constants)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        both = product(_texts(node.left, constants), _texts(node.right, constants))
        return ["".join(chosen) for chosen in both]
    if isinstance(node, (ast.Tuple, ast.List)):
        return [text for one in node.elts for text in _texts(one, constants)]
    if isinstance(node, (ast.GeneratorExp, ast.ListComp)):
        return _texts(node.elt, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        return _texts(constants[node.id], {})
    return ["{}"]


def literals() -> str:
    """All texts of the library's sources, a line each: what a template is made of is among them."""
    found = []
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found += _texts(node, {})
    return "\n".join(found)
