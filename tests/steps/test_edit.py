"""The edited picture: its memo sign, and one that changes nothing."""

from __future__ import annotations

import pytest

from lib_copier.errors import InputError
from lib_copier.steps import edit


def test_the_memo_sign_turns_the_lora_round(project):
    plus = project("plus", project__method="difference")
    minus = project("minus", project__method="difference", difference__sign="memo")
    weights = [[one.weight for one in made.plan().step("svd/outline").inputs] for made in (plus, minus)]
    assert weights == [[1.0, -1.0], [-1.0, 1.0]]


def test_an_unchanged_picture_is_refused_before_training():
    with pytest.raises(InputError, match="does not differ"):
        edit._refuse_unchanged(_place("edit/one/outline"), {"changed": 0.0})
    edit._refuse_unchanged(_place("edit/one/outline"), {"changed": 0.01})


def _place(step_id: str):
    from types import SimpleNamespace

    return SimpleNamespace(step=SimpleNamespace(id=step_id))
