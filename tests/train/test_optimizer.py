"""Optimisers by name: AdamW at hand, others through their packages, and clear words where one is missing."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from lib_copier.errors import InputError
from lib_copier.train.optimizer import check_optimizer, find_optimizer, make_optimizer, takes_gradient_scale


def groups() -> list[dict]:
    return [{"params": [torch.ones(3, requires_grad=True)], "lr": 0.1}]


def test_adamw_is_fused_and_takes_the_gradient_scale():
    optimizer = make_optimizer("adamw", (), groups())
    assert isinstance(optimizer, torch.optim.AdamW)
    assert takes_gradient_scale(optimizer)
    assert optimizer.param_groups[0]["weight_decay"] == 0.01


def test_arguments_are_literals():
    arguments = (("weight_decay", "0.1"), ("betas", "0.8, 0.9"), ("amsgrad", "true"))
    found = make_optimizer("AdamW", arguments, groups()).param_groups[0]
    assert (found["weight_decay"], found["betas"], found["amsgrad"]) == (0.1, (0.8, 0.9), True)


def test_refused_arguments_are_told():
    with pytest.raises(InputError, match="refuses its options"):
        make_optimizer("adamw", (("weight_decya", "0.1"),), groups())


def test_any_class_by_its_dotted_name():
    assert isinstance(make_optimizer("torch.optim.SGD", (), groups()), torch.optim.SGD)


def test_a_missing_package_is_named_before_the_start(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install prodigyopt" in check_optimizer("prodigy", ())[0]


def test_an_unknown_name_is_refused():
    assert "unknown" in check_optimizer("adamm", ())[0]
    with pytest.raises(ValueError, match="unknown"):
        find_optimizer("two words")


def test_bad_literals_are_found_early():
    assert "optimizer_args betas" in check_optimizer("adamw", (("betas", "(0.9,"),))[0]


def test_an_optimiser_of_a_package_is_imported_by_name(monkeypatch):
    package = types.ModuleType("prodigyopt")
    package.Prodigy = type("Prodigy", (torch.optim.SGD,), {})
    monkeypatch.setitem(sys.modules, "prodigyopt", package)
    optimizer = make_optimizer("prodigy", (), groups())
    assert type(optimizer).__name__ == "Prodigy"
    assert not takes_gradient_scale(optimizer)


def test_a_class_that_its_package_lacks_is_told():
    with pytest.raises(InputError, match="cannot be loaded"):
        make_optimizer("torch.optim.NoSuch", (), groups())
