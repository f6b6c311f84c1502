"""Pictures depend on their request alone: not on the batch, not on what was made before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler

from lib_copier.errors import CancelledError, CopierError, FaultsError, InputError
from lib_copier.generate.generator import Generator
from lib_copier.lora.file import read_lora
from lib_copier.model_file.families import FAMILIES
from lib_copier.models.attach import LiveLora, bake
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.latents import decode_latents
from lib_copier.models.text import encode_prompts
from lib_copier.txt2img.pictures import SAMPLERS, LoraUse, PictureRequest

BASE = PictureRequest(prompt="a red cat", width=64, height=64, steps=3, seed=7, sampler="Euler")


def difference(first, second) -> float:
    """Mean absolute difference in levels of 0 to 255."""
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_request_gives_the_same_picture(family, generator):
    first, again, other = generator(family).generate([BASE, BASE, replace(BASE, seed=8)])
    (alone,) = generator(family).generate([BASE])
    assert first.size == (64, 64) and first.mode == "RGB"
    assert np.asarray(first).std() > 5
    assert difference(first, again) == 0
    assert difference(first, alone) < 0.5
    assert difference(first, other) > 5


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_batch_of_everything_equals_one_by_one(family, generator, lora_path):
    uses = [
        LoraUse(lora_path(family, seed), weight, te) for seed, weight, te in ((1, 0.8, None), (2, -1.0, 0.0))
    ]
    requests = [
        BASE,
        replace(BASE, loras=(uses[0],), seed=8),
        replace(BASE, loras=tuple(uses), cfg_scale=1.0, prompt="dog"),
        replace(BASE, loras=(replace(uses[0], weight=-0.4),), negative_prompt="blue"),
        replace(BASE, prompt="(long:1.2), " * 40, width=96),
        replace(BASE, prompt="(long:1.2), " * 40, cfg_scale=3.0),
        replace(BASE, sampler="DPM++ 2M Karras", clip_skip=2),
    ]
    together = generator(family).generate(requests)
    for picture, request in zip(together, requests, strict=True):
        assert picture.size == (request.width, request.height)
        assert difference(picture, generator(family).generate([request])[0]) < 0.5
    assert difference(together[0], together[3]) > 1


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M Karras"])
def test_the_way_to_each_picture_is_told_and_changes_none(sampler, generator):
    first = replace(BASE, sampler=sampler, cfg_scale=5.0, negative_prompt="a dog")
    requests = [first, replace(BASE, width=96, seed=8)]
    walks = {}
    found = generator().generate(requests, on_walk=walks.__setitem__)
    for picture, again in zip(found, generator().generate(requests), strict=True):
        assert difference(picture, again) == 0
    assert [walks[number].states.shape for number in (0, 1)] == [(3, 4, 8, 8), (3, 4, 8, 12)]
    walk = walks[0]
    noise = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(7))
    assert torch.allclose(walk.states[0], noise * walk.sigmas[0], rtol=1e-5)
    assert walk.negative_prompt == "a dog" and float(walk.cfg_scale) == 5.0 and walk.sigmas.diff().max() < 0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws(sampler, generator):
    (picture,) = generator().generate([replace(BASE, sampler=sampler)])
    assert np.asarray(picture).std() > 5


def test_live_loras_draw_what_baked_ones_draw(generator, lora_path, checkpoint_path):
    use = LoraUse(lora_path(), 0.6, 0.3)
    (live,) = generator().generate([replace(BASE, loras=(use,))])
    checkpoint = load_checkpoint(checkpoint_path())
    bake(checkpoint, read_lora(use.path), 0.6, 0.3)
    (baked,) = Generator(checkpoint).generate([BASE])
    assert difference(live, baked) < 0.5
    assert difference(live, generator().generate([BASE])[0]) > 1


def test_pictures_with_the_same_loras_have_them_merged_in_a_batch_of_their_own(
    generator, lora_path, monkeypatch
):
    one, other = (LoraUse(lora_path(seed=seed), weight) for seed, weight in ((1, 0.8), (2, -1.0)))
    own = [replace(BASE, seed=seed, loras=(one,)) for seed in range(4)]
    requests = [replace(BASE, loras=(other,)), own[0], BASE, *own[1:]]
    singly = [generator().generate([request])[0] for request in requests]
    merged, live = [], []
    monkeypatch.setattr(LiveLora, "merge", _noted(LiveLora.merge, merged))
    monkeypatch.setattr(LiveLora, "set_weights", _noted(LiveLora.set_weights, live))
    together = generator().generate(requests)
    assert [weights.tolist() for weights in merged] == [pytest.approx([0.8])]
    mixed = [weights for weights in live if weights is not None]
    assert len(mixed) == 1 and len(mixed[0]) == 2 * 2
    assert all(difference(*pair) < 0.5 for pair in zip(together, singly, strict=True))


def _noted(method, calls):
    def call(live, weights):
        calls.append(weights)
        return method(live, weights)

    return call


def test_cross_attention_reads_the_prompts_once(generator):
    unet = generator().checkpoint.unet
    attention = next(one for one in unet.modules() if getattr(one, "is_cross_attention", False))
    read, own = [], attention.to_k
    handle = own.register_forward_hook(lambda *_: read.append(1))
    generator().generate([BASE])
    assert len(read) == 1
    generator().generate([BASE])
    assert len(read) == 2, "another call may have other prompts"
    handle.remove()
    with pytest.raises(CancelledError):
        generator().generate([BASE], on_step=_stop)
    assert attention.to_k is own


def _stop():
    raise CancelledError


@torch.no_grad()
def test_a_picture_is_what_diffusers_parts_draw(generator):
    """The whole way by hand: transformers' hidden states, diffusers' U-Net, Euler steps and VAE."""
    checkpoint = generator().checkpoint
    request = replace(BASE, steps=4, negative_prompt="blue")
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="linspace"
    )
    scheduler.set_timesteps(4)
    text = encode_prompts(checkpoint, ["blue", "a red cat"]).hidden
    noise = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(7))[None]
    x = noise * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, time)
        without, with_prompt = checkpoint.unet(scaled.expand(2, -1, -1, -1), time, text).sample.chunk(2)
        x = scheduler.step(without + 7.0 * (with_prompt - without), time, x).prev_sample
    expected = (decode_latents(checkpoint.vae, x)[0].permute(1, 2, 0) + 1) * 127.5
    (picture,) = generator().generate([request])
    assert difference(picture, expected.numpy()) < 1.0


def test_guidance_of_one_needs_half_the_rows(generator, monkeypatch):
    unet, rows = generator().checkpoint.unet, []
    hook = unet.register_forward_pre_hook(lambda module, arguments: rows.append(arguments[0].shape[0]))
    try:
        generator().generate([replace(BASE, cfg_scale=1.0), BASE, replace(BASE, cfg_scale=1.0)])
    finally:
        hook.remove()
    assert set(rows) == {4} and len(rows) == BASE.steps


def test_a_lora_file_that_changes_is_read_again(generator, lora_path, tmp_path):
    path = tmp_path / "changing.safetensors"
    path.write_bytes(lora_path("sd1", 1).read_bytes())
    request = replace(BASE, loras=(LoraUse(path, 1.0),))
    (before,) = generator().generate([request])
    path.write_bytes(lora_path("sd1", 2).read_bytes())
    (after,) = generator().generate([request])
    assert difference(before, after) > 1


def test_progress_counts_all_steps(generator):
    seen: list[tuple[int, int]] = []
    generator().generate(
        [BASE, replace(BASE, steps=2)], on_progress=lambda done, total: seen.append((done, total))
    )
    assert [done for done, _ in seen] == [0, 1, 2, 3, 4, 5] and {total for _, total in seen} == {5}


def test_stopping_underway_leaves_the_model_as_it_was(generator, lora_path):
    def stop() -> None:
        raise CancelledError

    (before,) = generator().generate([BASE])
    with pytest.raises(CancelledError):
        generator().generate([replace(BASE, loras=(LoraUse(lora_path()),))], on_step=stop)
    assert difference(before, generator().generate([BASE])[0]) == 0


def test_all_faults_come_before_any_work(generator):
    wrong = replace(BASE, width=100, steps=0, sampler="Heun", loras=(LoraUse(Path("none.safetensors")),))
    with pytest.raises(FaultsError) as caught:
        generator().generate([BASE, wrong])
    text = str(caught.value)
    assert all(word in text for word in ("picture 2", "96 or 104", "steps 0", "Heun", "none.safetensors"))


def test_a_lora_of_another_family_is_refused(generator, lora_path):
    with pytest.raises(InputError, match="does not fit"):
        generator("sd1").generate([replace(BASE, loras=(LoraUse(lora_path("sdxl")),))])


def test_an_overflow_is_said_in_words(checkpoint_path):
    checkpoint = load_checkpoint(checkpoint_path())
    checkpoint.unet.conv_out.weight.fill_(float("inf"))
    with pytest.raises(CopierError, match="not a number"):
        Generator(checkpoint).generate([BASE])
