"""Optimisers at work: AdamW at hand, others through their packages, and learning-rate schedules."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import types

import pytest
import torch

from lib_copier.errors import InputError
from lib_copier.settings.optimizers import OPTIMIZERS
from lib_copier.train.optimizer import (
    averaged,
    lr_factor,
    make_optimizer,
    missing_package,
    takes_gradient_scale,
)


def groups() -> list[dict]:
    return [{"params": [torch.ones(3, requires_grad=True)], "lr": 0.1}]


def test_adamw_is_fused_and_takes_the_gradient_scale():
    optimizer = make_optimizer("adamw", (), groups())
    assert isinstance(optimizer, torch.optim.AdamW)
    assert takes_gradient_scale(optimizer)
    assert optimizer.param_groups[0]["weight_decay"] == 0.01


def test_arguments_arrive_typed():
    found = make_optimizer("adamw", ("weight_decay=0.1", "betas=0.8, 0.9", "amsgrad=true"), groups())
    settings = found.param_groups[0]
    assert (settings["weight_decay"], settings["betas"], settings["amsgrad"]) == (0.1, (0.8, 0.9), True)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("transformers.pipeline", ("trust_remote_code=True",)),
        ("torch.optim.SGD", ()),
        ("AdamW", ()),
        ("adamw", ("weight_decya=0.1",)),
        ("adamw", ("params=[]",)),
    ],
)
def test_what_is_not_listed_is_refused_and_never_imported(name, arguments, monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda module: pytest.fail(f"imported {module}"))
    with pytest.raises(InputError, match="refuses"):
        make_optimizer(name, arguments, groups())


def test_adafactor_follows_our_learning_rate():
    optimizer = make_optimizer("adafactor", ("eps=1e-30,1e-4", "decay_rate=-0.7"), groups())
    settings = optimizer.param_groups[0]
    assert (settings["relative_step"], settings["eps"], settings["lr"]) == (False, (1e-30, 1e-4), 0.1)
    weight = settings["params"][0]
    weight.grad = torch.ones(3)
    optimizer.step()
    assert not torch.equal(weight, torch.ones(3))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_listed_argument_is_one_of_its_class(name):
    """Of what is installed here: the others are named by their packages' documentation alone."""
    entry = OPTIMIZERS[name]
    if importlib.util.find_spec(entry.module.partition(".")[0]) is None:
        pytest.skip(f"{entry.package} is not installed")
    kind = getattr(importlib.import_module(entry.module), entry.kind)
    taken = inspect.signature(kind).parameters
    assert {argument.name for argument in entry.arguments} | dict(entry.fixed).keys() <= taken.keys()


def test_a_missing_package_is_named_before_the_start(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install prodigyopt" in missing_package("prodigy")[0]


def test_an_optimiser_of_a_package_is_imported_by_name(monkeypatch):
    package = types.ModuleType("prodigyopt")
    package.Prodigy = type("Prodigy", (torch.optim.SGD,), {})
    monkeypatch.setitem(sys.modules, "prodigyopt", package)
    optimizer = make_optimizer("prodigy", (), groups())
    assert type(optimizer).__name__ == "Prodigy"
    assert not takes_gradient_scale(optimizer)


def test_a_class_that_its_package_lacks_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "prodigyopt", types.ModuleType("prodigyopt"))
    with pytest.raises(InputError, match="cannot be loaded"):
        make_optimizer("prodigy", (), groups())


def test_a_schedule_free_optimiser_shows_its_average(monkeypatch):
    modes: list[str] = []

    class Averaging(torch.optim.SGD):
        def train(self) -> None:
            modes.append("train")

        def eval(self) -> None:
            modes.append("eval")

    package = types.ModuleType("schedulefree")
    package.AdamWScheduleFree = Averaging
    monkeypatch.setitem(sys.modules, "schedulefree", package)
    with averaged(make_optimizer("adamwschedulefree", (), groups())):
        assert modes == ["train", "eval"]
    assert modes == ["train", "eval", "train"]
    with averaged(make_optimizer("sgd", (), groups())):
        assert len(modes) == 3


@pytest.mark.parametrize("scheduler", ["constant", "linear", "cosine"])
def test_warm_up_rises_linearly_from_zero(scheduler):
    assert [lr_factor(scheduler, step, 100, 4) for step in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_without_warm_up_the_first_step_is_whole():
    assert lr_factor("cosine", 0, 10, 0) == 1.0


def test_constant_stays():
    assert lr_factor("constant", 99, 100, 10) == 1.0


def test_linear_and_cosine_fall_to_zero_at_the_end():
    assert lr_factor("linear", 55, 100, 10) == pytest.approx(0.5)
    assert lr_factor("cosine", 55, 100, 10) == pytest.approx(0.5)
    assert lr_factor("linear", 100, 100, 10) == 0.0
    assert lr_factor("cosine", 100, 100, 10) == pytest.approx(0.0)
    assert lr_factor("cosine", 25, 100, 0) == pytest.approx(0.853553, abs=1e-6)


def test_all_warm_up_does_not_divide_by_zero():
    assert lr_factor("cosine", 10, 10, 10) == pytest.approx(1.0)
