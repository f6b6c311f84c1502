"""The loss follows its formulas."""

from __future__ import annotations

import pytest
import torch

from lib_copier.models.noise import NoiseSchedule
from lib_copier.train.loss import min_snr_weight, weighted_mse


def test_plain_loss_is_the_mean_squared_error():
    a, b = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    assert torch.allclose(weighted_mse(a, b, None, None), torch.nn.functional.mse_loss(a, b))


def test_a_masked_place_has_no_gradient_and_a_grey_one_half():
    prediction = torch.ones(1, 4, 1, 3, requires_grad=True)
    mask = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3)
    weighted_mse(prediction, torch.zeros(1, 4, 1, 3), mask, None).backward()
    by_place = prediction.grad[0, 0, 0]
    assert by_place[0] == 0
    assert by_place[1] == pytest.approx(by_place[2].item() / 2)


def test_weights_act_on_samples():
    prediction = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    loss = weighted_mse(prediction, torch.zeros(2, 1, 1, 1), None, torch.tensor([1.0, 0.25]))
    assert loss.item() == pytest.approx((1 + 4 * 0.25) / 2)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_min_snr_follows_the_paper(prediction_type):
    schedule = NoiseSchedule.create(prediction_type)
    timesteps = torch.tensor([0, 300, 999])
    cumulative = schedule.alphas_cumprod[timesteps].double()
    snr = cumulative / (1 - cumulative)
    below = snr + 1 if prediction_type == "v_prediction" else snr
    expected = snr.clamp(max=5.0) / below
    assert torch.allclose(min_snr_weight(schedule, timesteps, 5.0).double(), expected, rtol=1e-4)


@pytest.mark.parametrize(("prediction_type", "limit"), [("epsilon", 1.0), ("v_prediction", 0.0)])
def test_min_snr_takes_its_limit_where_no_signal_is_left(prediction_type, limit):
    schedule = NoiseSchedule.create(prediction_type, zero_terminal_snr=True)
    assert schedule.snr(torch.tensor([999])).item() == 0.0
    last, before = min_snr_weight(schedule, torch.tensor([999, 998]), 5.0).tolist()
    assert last == pytest.approx(limit, abs=1e-30)
    assert before == pytest.approx(limit, abs=1e-3)
