"""The demo: all methods on the demo checkpoint, from an origin picture to a report of what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier.app import progress
from lib_copier.app.demo_report import write_report
from lib_copier.edge import Parser
from lib_copier.engines.locate import demo_checkpoint
from lib_copier.engines.workers import Workers
from lib_copier.errors import InputError
from lib_copier.files.disk import read_json
from lib_copier.markup.html import duration
from lib_copier.recipe.model import Edit, Origin, Recipe, parse_effects, settings_of
from lib_copier.recipe.presets import apply_preset, first_values
from lib_copier.settings.option import Value
from lib_copier.steps.project import Project

EDITS: Mapping[str, str] = {
    "outline": "outline",
    "flat": "flat",
    "contrast": "contrast",
    "posterize": "posterize",
    "jpeg": "jpeg",
}
"""The memo's five, by effect."""
EDITS_B = ("outline", "contrast")
EDITS_C = ("outline",)

_FAINT = frozenset({"posterize", "jpeg"})
"""The demo's VAE shows little of them: they are gone on with all the same, and the report says so."""

_ORIGIN = "scene"
_PRESET = "auto"
_FULL: Mapping[str, Value] = {"sweep.pairs": 16, "check.pairs": 8, "sweep.control": True}
_QUICK: Mapping[str, Value] = {"sweep.pairs": 4, "check.pairs": 4, "sweep.control": False}
_QUICK_EDITS = ("outline",)


def main(argv: Sequence[str]) -> int:
    """Run the demo, or what is left of it, and say where the report lies."""
    parser = Parser(
        prog="run.py demo", description="Run all methods on the demo checkpoint and write a report."
    )
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="one edit, fewer pictures: a first look")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)
    checkpoint = demo_checkpoint()
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint} is missing.", "Make it with `python demo/make.py`, or clone again.")
    out = arguments.out.absolute()
    recipe = demo_recipe(checkpoint, is_quick=arguments.quick, device=arguments.device)
    with Workers() as workers:
        with progress.shown() as listener:
            first = _project(out / ("quick" if arguments.quick else "method-a"), recipe)
            report = first.run(listener=listener, workers=workers)
            projects, made = {"A": first}, len(report.made)
            if not arguments.quick:
                for method, other in _others(first, out).items():
                    made += len(other.run(listener=listener, workers=workers).made)
                    projects[method] = other
        if made or not (out / "report.json").is_file():
            write_report(projects, out, workers)
    _tell(out)
    return 0


def demo_recipe(checkpoint: Path, *, is_quick: bool, device: str = "auto") -> Recipe:
    """Method A on one origin; five edits, or one for a first look."""
    names = _QUICK_EDITS if is_quick else tuple(EDITS)
    # What came out is to be seen, also of a slider that is none: the report tells what lies below its goal.
    edits = tuple(
        Edit(
            name,
            parse_effects(EDITS[name]),
            settings=settings_of({"sweep.accept": True, "edit.accept_faint": name in _FAINT}),
        )
        for name in names
    )
    values = {"project.checkpoint": str(checkpoint), "project.device": device, "project.name": "demo"}
    suggested = first_values(str(checkpoint), [_ORIGIN])
    start = f"origins.{_ORIGIN}."
    origin = {key.removeprefix(start): suggested.pop(key) for key in list(suggested) if key.startswith(start)}
    recipe = Recipe((Origin(_ORIGIN, settings_of(origin)),), edits).with_settings(values)
    return apply_preset(recipe, _PRESET).with_settings({**suggested, **(_QUICK if is_quick else _FULL)})


def _project(folder: Path, recipe: Recipe) -> Project:
    """The project in that folder with this recipe: what an earlier demo made is kept."""
    if (folder / "project.json").is_file():
        return Project.open(folder).replace_recipe(recipe)
    return Project.create(folder, recipe)


def _others(first: Project, out: Path) -> dict[str, Project]:
    """Methods B and C: copies of the first project, so that what they share is made once, with some edits."""
    wanted = {"B": ("difference", EDITS_B), "C": ("pairs", EDITS_C)}
    return {
        letter: _other(first, out / f"method-{letter.lower()}", f"demo-{letter.lower()}", *what)
        for letter, what in wanted.items()
    }


def _other(first: Project, folder: Path, name: str, method: str, edits: Sequence[str]) -> Project:
    kept = {key: first.recipe.get(key) for key in _FULL}
    recipe = apply_preset(first.recipe.with_settings({"project.method": method}), _PRESET)
    # The control of method A is trained the same way; a second one would show nothing new.
    recipe = recipe.with_settings({**kept, "project.name": name, "sweep.control": False})
    for edit in set(EDITS) - set(edits):
        recipe = recipe.without_edit(edit)
    if (folder / "project.json").is_file():
        return Project.open(folder).replace_recipe(recipe)
    return first.duplicate(folder).replace_recipe(recipe)


def _tell(out: Path) -> None:
    report = read_json(out / "report.json")
    for method, edits in report["methods"].items():
        for name, found in edits.items():
            print(f"{method} {name:<10} {_numbers(found)}")
    print(f"{duration(report['seconds']['total'])} of work. Report: {out / 'report.html'}")


def _numbers(found: Mapping[str, Any]) -> str:
    words = {
        "rank_correlation": "correlation",
        "strength": "strength",
        "leak": "leak",
        "fidelity": "fidelity",
        "rest": "rest",
        "control_leak": "control",
    }
    shown = [f"{word} {found[key]:5.2f}" for key, word in words.items() if found.get(key) is not None]
    below = [f"below its goal: {'; '.join(found['below'])}"] if found.get("below") else []
    shown = [str(found["score"]), *shown] if found.get("score") else shown
    return "  ".join([*shown, f"sign {found.get('sign')}", *below])
