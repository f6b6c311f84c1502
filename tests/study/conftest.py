"""Studies whose children are played by the stand-in of the steps' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_copier.recipe.model import Recipe
from lib_copier.study.axes import read_axes
from lib_copier.study.question import Question
from lib_copier.study.rungs import WHOLE, usual_rungs
from lib_copier.study.study import Study
from tests.steps.conftest import checkpoint, recipe, stand_in  # noqa: F401 - fixtures


@pytest.fixture
def study(tmp_path: Path, recipe: Callable[..., Recipe]) -> Callable[..., Study]:  # noqa: F811 - a fixture
    """Makes a study: axes as ``address=[values]``, dots as __, on a recipe of one origin and one edit."""

    def make(name: str = "asked", reduction: int = 0, is_crossed: bool = True, **given: Any) -> Study:
        axes = {key.replace("__", "."): values for key, values in given.items() if isinstance(values, list)}
        others = {key: value for key, value in given.items() if not isinstance(value, list)}
        base = recipe(**others)
        told = [{"address": address, "values": values} for address, values in axes.items()]
        rungs = usual_rungs(base) if reduction else (WHOLE,)
        found = read_axes(told, base, is_crossed=is_crossed)
        return Study.create(tmp_path / name, Question(base, found, is_crossed, rungs, reduction))

    return make
