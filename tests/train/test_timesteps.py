"""Draws by importance expect the same gradient, and vary less."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lib_copier.models.noise import TRAIN_STEPS, NoiseSchedule
from lib_copier.train.config import TrainConfig
from lib_copier.train.loss import min_snr_weight
from lib_copier.train.timesteps import TimeSteps

KINDS = [("epsilon", False), ("v_prediction", False), ("v_prediction", True)]


@pytest.fixture
def settings(make_config) -> TrainConfig:
    return make_config(min_snr_gamma=0.02, timestep_sampling="importance", batch_size=4)


def expected(plan: TimeSteps, values: torch.Tensor) -> float:
    """The mean of weight times value over what is drawn."""
    config = plan.config
    reach = slice(config.timestep_min, config.timestep_max)
    chances = plan.chances if plan.chances is not None else np.ones(reach.stop - reach.start)
    found = (plan.weights * values)[reach].double().numpy()
    return float((found * chances).sum() / chances.sum())


@pytest.mark.parametrize(("prediction", "is_zero_terminal"), KINDS)
@pytest.mark.parametrize(("gamma", "low"), [(0.005, 0), (0.02, 700), (1.0, 300), (10.0, 0)])
def test_the_expected_loss_is_that_of_even_draws(settings, prediction, is_zero_terminal, gamma, low):
    schedule = NoiseSchedule.create(prediction, zero_terminal_snr=is_zero_terminal)
    losses = torch.from_numpy(np.random.default_rng(low).random(TRAIN_STEPS)).float()
    even, important = (
        TimeSteps.of(
            dataclasses.replace(settings, min_snr_gamma=gamma, timestep_min=low, timestep_sampling=sampling),
            schedule,
        )
        for sampling in ("stratified", "importance")
    )
    assert even.chances is None
    assert expected(important, losses) == pytest.approx(expected(even, losses), rel=1e-4)


@pytest.mark.parametrize(("prediction", "is_zero_terminal"), KINDS)
def test_errors_of_the_picture_give_gradients_of_one_size(settings, prediction, is_zero_terminal):
    """One unit of the picture at every time step: weight times error is what the chances do not even out."""
    schedule = NoiseSchedule.create(prediction, zero_terminal_snr=is_zero_terminal)
    plan = TimeSteps.of(settings, schedule)
    every = torch.arange(TRAIN_STEPS)
    snr = schedule.snr(every)
    error = (snr + 1.0 if prediction == "v_prediction" else snr).sqrt()
    gradients = (plan.weights * error)[snr > 0]
    assert gradients.max() < 1.001 * gradients.min()
    even = min_snr_weight(schedule, every, 0.02) * error
    assert even.std() > 0.2 * even.mean()


def test_draws_come_as_often_as_their_chances(settings):
    plan = TimeSteps.of(settings, NoiseSchedule.create())
    drawn = np.concatenate([plan.draw(step) for step in range(2000)])
    found = np.histogram(drawn, bins=10, range=(0, TRAIN_STEPS))[0] / len(drawn)
    wanted = plan.chances.reshape(10, -1).sum(axis=1) / plan.chances.sum()
    assert np.allclose(found, wanted, atol=0.01)
    assert wanted[-1] > 10 * wanted[1]


def test_draws_keep_to_their_range(settings):
    plan = TimeSteps.of(
        dataclasses.replace(settings, timestep_min=300, timestep_max=400), NoiseSchedule.create()
    )
    drawn = np.concatenate([plan.draw(step) for step in range(200)])
    assert drawn.min() >= 300 and drawn.max() < 400
    assert np.isfinite(plan.weights.numpy()).all()


def test_without_a_gamma_all_count_alike_and_are_spread_evenly(settings):
    plan = TimeSteps.of(dataclasses.replace(settings, min_snr_gamma=None), NoiseSchedule.create())
    assert plan.weights is None
    assert np.all(np.abs(np.diff(np.sort(plan.draw(3))) - 250) <= 1)
