"""Updates: clipping as torch does it, and nothing moves where a number is not finite."""

from __future__ import annotations

import pytest
import torch

from lib_copier.train.optimizer import make_optimizer
from lib_copier.train.update import LossScale, Updater

CPU = torch.device("cpu")


def setup(name: str, *, is_dynamic: bool = False, max_norm: float = 1.0):
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = make_optimizer(name, (), [{"params": [weight], "lr": 0.1}])
    return weight, Updater(optimizer, LossScale(CPU, is_dynamic=is_dynamic), max_norm)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_gradients_are_clipped_to_the_norm(name):
    weight, updater = setup(name)
    weight.grad = torch.tensor([30.0, 40.0])
    expected = weight.detach().clone().requires_grad_()
    reference = make_optimizer(name, (), [{"params": [expected], "lr": 0.1}])
    expected.grad = torch.tensor([30.0, 40.0])
    torch.nn.utils.clip_grad_norm_([expected], 1.0)
    reference.step()
    skipped = updater.apply([weight.grad], torch.tensor(1.0))
    assert skipped == 0
    assert torch.allclose(weight, expected, atol=1e-6)


def test_small_gradients_are_left_as_they_are():
    weight, updater = setup("sgd")
    weight.grad = torch.tensor([0.3, 0.4])
    updater.apply([weight.grad], torch.tensor(1.0))
    assert torch.allclose(weight.detach(), torch.tensor([0.97, -2.04]), atol=1e-7, rtol=0)


def test_zero_means_no_clipping():
    weight, updater = setup("sgd", max_norm=0.0)
    weight.grad = torch.tensor([30.0, 40.0])
    updater.apply([weight.grad], torch.tensor(1.0))
    assert torch.allclose(weight.detach(), torch.tensor([-2.0, -6.0]))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("where", ["gradient", "loss"])
def test_what_is_not_finite_changes_nothing(name, where):
    weight, updater = setup(name)
    weight.grad = torch.tensor([float("nan") if where == "gradient" else 1.0, 1.0])
    loss = torch.tensor(float("inf") if where == "loss" else 1.0)
    assert updater.apply([weight.grad], loss) == 1
    assert torch.equal(weight.detach(), torch.tensor([1.0, -2.0]))


def test_the_loss_scale_is_taken_out_and_halves_on_overflow():
    weight, updater = setup("sgd", is_dynamic=True)
    scale = updater.scale.value.item()
    weight.grad = torch.tensor([0.3, 0.4]) * scale
    updater.apply([weight.grad], torch.tensor(1.0))
    assert torch.allclose(weight.detach(), torch.tensor([0.97, -2.04]))
    weight.grad = torch.tensor([float("inf"), 1.0])
    assert updater.apply([weight.grad], torch.tensor(1.0)) == 1
    assert updater.scale.value.item() == scale / 2
