"""The noise schedule agrees with diffusers' and its own identities."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.models.noise import NoiseSchedule

SETTINGS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noising_and_target_are_diffusers(prediction):
    ours = NoiseSchedule.create(prediction)
    theirs = DDPMScheduler(**SETTINGS, prediction_type=prediction)
    clean, noise = torch.randn(3, 4, 5, 5), torch.randn(3, 4, 5, 5)
    times = torch.tensor([0, 500, 999])
    assert torch.allclose(ours.alphas_cumprod, theirs.alphas_cumprod, atol=1e-5)
    assert torch.allclose(
        ours.add_noise(clean, noise, times), theirs.add_noise(clean, noise, times), atol=1e-4
    )
    expected = noise if prediction == "epsilon" else theirs.get_velocity(clean, noise, times)
    assert torch.allclose(ours.target(clean, noise, times), expected, atol=1e-4)


def test_zero_terminal_snr_is_diffusers():
    ours = NoiseSchedule.create("v_prediction", zero_terminal_snr=True)
    theirs = DDIMScheduler(**SETTINGS, rescale_betas_zero_snr=True)
    assert ours.alphas_cumprod[-1] == 0.0
    assert torch.allclose(ours.alphas_cumprod, theirs.alphas_cumprod, atol=1e-4)


@given(time=st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_velocity_and_noisy_picture_give_the_clean_one(time):
    schedule = NoiseSchedule.create("v_prediction")
    clean, noise = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    times = torch.tensor([time])
    signal = schedule.alphas_cumprod[time]
    noisy, velocity = schedule.add_noise(clean, noise, times), schedule.target(clean, noise, times)
    assert torch.allclose(signal.sqrt() * noisy - (1 - signal).sqrt() * velocity, clean, atol=1e-5)


def test_snr_falls_with_time():
    snr = NoiseSchedule.create().snr(torch.arange(1000))
    assert (snr.diff() < 0).all() and snr[0] > 1000 and snr[-1] < 0.01


def test_an_unknown_prediction_is_refused():
    with pytest.raises(ValueError, match="prediction_type"):
        NoiseSchedule.create("x0")


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_an_answer_changes_with_what_is_shown_and_what_is_wanted(prediction):
    schedule = NoiseSchedule.create(prediction)
    torch.manual_seed(0)
    clean, noise, shown, wanted = torch.randn(4, 3, 2, 4, 4)
    timesteps = torch.tensor([20, 500, 950])

    def seen(picture, answer):
        """The clean picture that an answer stands for."""
        noisy = schedule.add_noise(picture, noise, timesteps)
        signal = schedule.alphas_cumprod[timesteps].sqrt().reshape(-1, 1, 1, 1)
        spread = (1.0 - signal**2).sqrt()
        if prediction == "epsilon":
            return (noisy - spread * answer) / signal
        return signal * noisy - spread * answer

    before = schedule.target(clean, noise, timesteps)
    after = before + schedule.answer_to(shown, wanted, timesteps)
    assert torch.allclose(seen(clean, before), clean, atol=1e-4)
    assert torch.allclose(seen(clean + shown, after), clean + wanted, atol=1e-3)
