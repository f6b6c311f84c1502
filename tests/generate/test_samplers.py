"""Our samplers walk where diffusers' schedulers walk, and arrive where the mathematics says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler

from lib_copier.generate.samplers import (
    WALKS,
    ddim_levels,
    karras_levels,
    log_sigmas,
    time_of,
    uniform_levels,
)
from lib_copier.models.noise import NoiseSchedule
from lib_copier.txt2img.pictures import SAMPLERS

SETTINGS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}
# 999 / 9 is whole: both sides stand on whole time steps, where no interpolation differs.
STEPS = 10
SCHEDULE = NoiseSchedule.create()


def epsilon(scaled: torch.Tensor, time: float) -> torch.Tensor:
    """A made-up U-Net: smooth, not linear, and different at every time."""
    return torch.sin(scaled * (1.0 + time / 1000.0)) + 0.3 * scaled


def ours(name: str, steps: int = STEPS) -> torch.Tensor:
    walk = WALKS[name]
    sigmas = walk.levels(SCHEDULE, steps)
    times = time_of(SCHEDULE, sigmas[:-1])

    def denoise(x: torch.Tensor, step: int) -> torch.Tensor:
        scaled = x / math.sqrt(sigmas[step] ** 2 + 1.0)
        return x - sigmas[step] * epsilon(scaled, times[step].item())

    torch.manual_seed(3)
    start = walk.start(torch.randn(2, 4, 8, 8), sigmas)
    return walk.finish(walk.steps(denoise, start, sigmas, lambda: torch.zeros(1)), sigmas)


def theirs(scheduler) -> torch.Tensor:
    scheduler.set_timesteps(STEPS)
    torch.manual_seed(3)
    x = torch.randn(2, 4, 8, 8) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        x = scheduler.step(epsilon(scheduler.scale_model_input(x, time), float(time)), time, x).prev_sample
    return x


def made_up(scaled: torch.Tensor, time: float) -> torch.Tensor:
    """A made-up U-Net's noise, such that pictures are of the size of 1 and every time step tells."""
    signal = math.exp(-0.0009 - 0.001 * time - 3.7e-6 * time**2)
    clean = torch.tanh(1.5 * scaled + math.sin(time / 100))
    return (scaled - math.sqrt(signal) * clean) / math.sqrt(1 - signal)


RECORDED = json.loads((Path(__file__).parent / "data" / "webui_samplers.json").read_text(encoding="utf-8"))
"""What the sampling code that version 1.10.1 of the WebUI runs makes of `made_up`, by sampler and steps."""


@pytest.mark.parametrize("case", RECORDED)
def test_every_sampler_walks_where_the_webuis_walk(case):
    name, _, steps = case.rpartition("/")
    walk = WALKS[name]
    sigmas = walk.levels(SCHEDULE, int(steps))
    times = time_of(SCHEDULE, sigmas[:-1])
    generator = torch.Generator().manual_seed(3)

    def noise() -> torch.Tensor:
        return torch.randn(1, 4, 2, 2, generator=generator).double()

    def denoise(x: torch.Tensor, step: int) -> torch.Tensor:
        return x - sigmas[step] * made_up(x / math.sqrt(sigmas[step] ** 2 + 1.0), times[step].item())

    found = walk.finish(walk.steps(denoise, walk.start(noise(), sigmas), sigmas, noise), sigmas)
    assert torch.allclose(found.flatten(), torch.tensor(RECORDED[case]).double(), atol=2e-3)


def test_euler_is_diffusers():
    scheduler = EulerDiscreteScheduler(**SETTINGS, timestep_spacing="linspace")
    found, expected = ours("Euler"), theirs(scheduler)
    # diffusers starts at sqrt(sigma² + 1) of the noise only with other spacings; here at sigma.
    assert scheduler.init_noise_sigma == pytest.approx(14.6146, abs=1e-3)
    assert torch.allclose(found, expected, atol=2e-3)


def webui_ddim(steps: int) -> torch.Tensor:
    """The WebUI's own loop, in its variables: sampler ``ddim`` of its version 1.10.1 without added noise."""
    alphas_cumprod = SCHEDULE.alphas_cumprod.double()
    timesteps = torch.clip(torch.asarray(list(range(0, 1000, 1000 // steps))) + 1, 0, 999)
    alphas = alphas_cumprod[timesteps]
    alphas_prev = alphas_cumprod[torch.nn.functional.pad(timesteps[:-1], pad=(1, 0))]
    torch.manual_seed(3)
    x = torch.randn(2, 4, 8, 8)
    for i in range(len(timesteps) - 1):
        index = len(timesteps) - 1 - i
        e_t = epsilon(x, timesteps[index].item())
        pred_x0 = (x - (1 - alphas[index]).sqrt() * e_t) / alphas[index].sqrt()
        x = alphas_prev[index].sqrt() * pred_x0 + (1.0 - alphas_prev[index]).sqrt() * e_t
    return x.float()


@pytest.mark.parametrize("steps", [1, 7, 20, 28, 150])
def test_ddim_is_the_webuis(steps):
    assert torch.allclose(ours("DDIM", steps), webui_ddim(steps), atol=2e-3)


@pytest.mark.parametrize(("name", "is_karras"), [("DPM++ 2M", False), ("DPM++ 2M Karras", True)])
def test_dpmpp_2m_reaches_the_fine_solution(name, is_karras):
    """diffusers' multistep solver rounds Karras time steps, so both are held against many Euler steps."""
    sigmas = (karras_levels if is_karras else uniform_levels)(SCHEDULE, 12)
    fine = torch.logspace(math.log10(sigmas[0]), math.log10(sigmas[-2]), 3000, dtype=torch.float64).tolist()

    def denoise_at(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return torch.tanh(x / (1.0 + sigma))

    start = torch.linspace(-20, 20, 50, dtype=torch.float64).reshape(1, 1, 5, 10)
    levels = sigmas[:-1]
    found = WALKS[name].steps(lambda x, i: denoise_at(x, levels[i]), start, levels, lambda: start)
    euler = WALKS["Euler"].steps(lambda x, i: denoise_at(x, levels[i]), start, levels, lambda: start)
    exact = WALKS["Euler"].steps(lambda x, i: denoise_at(x, fine[i]), start, fine, lambda: start)
    error, first_order = (found - exact).abs().max(), (euler - exact).abs().max()
    assert error < 0.5 * first_order and error < 0.1


def test_dpmpp_2m_is_diffusers_on_its_levels():
    scheduler = DPMSolverMultistepScheduler(**SETTINGS, timestep_spacing="linspace", final_sigmas_type="zero")
    scheduler.set_timesteps(STEPS)
    sigmas = [float(sigma) for sigma in scheduler.sigmas]
    times = [float(time) for time in scheduler.timesteps]

    def denoise(x: torch.Tensor, step: int) -> torch.Tensor:
        return x - sigmas[step] * epsilon(x / math.sqrt(sigmas[step] ** 2 + 1.0), times[step])

    torch.manual_seed(3)
    noise = torch.randn(2, 4, 8, 8)
    start = noise * math.sqrt(sigmas[0] ** 2 + 1.0)
    found = WALKS["DPM++ 2M"].steps(denoise, start, sigmas, lambda: noise)
    assert torch.allclose(found, theirs(scheduler), atol=2e-3)


def test_euler_a_keeps_the_amount_of_noise():
    """What goes too far down comes back up: down² + up² is the level's variance, whatever is drawn."""
    torch.manual_seed(0)
    sigmas = uniform_levels(SCHEDULE, 8)[:-1]
    start = torch.randn(1, 1, 400, 400) * sigmas[0]
    found = WALKS["Euler a"].steps(
        lambda x, i: torch.zeros_like(x), start, sigmas, lambda: torch.randn_like(start)
    )
    assert found.std().item() == pytest.approx(sigmas[-1], rel=0.02)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7, 33, 500])
def test_a_perfect_model_gives_its_picture(name, steps):
    walk = WALKS[name]
    sigmas = walk.levels(SCHEDULE, steps)
    assert all(a > b for a, b in zip(sigmas, sigmas[1:], strict=False))
    if name == "DDIM":
        # As many levels as the WebUI's stride gives, and no pass at all where one step is asked for.
        assert len(sigmas) == math.ceil(1000 / (1000 // steps))
        if steps == 1:
            return
    else:
        assert len(sigmas) == steps + 1
    truth, noise = torch.rand(1, 4, 3, 3), torch.randn(1, 4, 3, 3)
    found = walk.steps(lambda x, i: truth, walk.start(noise, sigmas), sigmas, lambda: noise)
    # DDIM stops at its last level and keeps what noise that level lets through.
    left = sigmas[-1] * math.sqrt(1.0 + sigmas[0] ** -2) if walk.ends_noisy else 0.0
    assert torch.allclose(walk.finish(found, sigmas), truth, atol=1e-5 + 5 * left)


def test_times_are_the_inverse_of_levels():
    sigmas = log_sigmas(SCHEDULE).exp()
    assert torch.allclose(time_of(SCHEDULE, sigmas.tolist()), torch.arange(1000.0), atol=1e-3)
    assert ddim_levels(SCHEDULE, 4)[0] == pytest.approx(sigmas[751].item())


def test_zero_terminal_snr_has_finite_levels():
    schedule = NoiseSchedule.create("v_prediction", zero_terminal_snr=True)
    for walk in WALKS.values():
        assert all(math.isfinite(sigma) for sigma in walk.levels(schedule, 20))


def test_every_name_that_requests_may_use_is_there():
    assert tuple(WALKS) == tuple(SAMPLERS)
