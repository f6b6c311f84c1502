"""The whole training on tiny checkpoints: what it learns, how it stops, and that it goes on exactly."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lib_copier.errors import CancelledError, InputError
from lib_copier.lora.file import read_lora
from lib_copier.model_file.header import read_header
from lib_copier.train import loop
from lib_copier.train.feed import Feed
from lib_copier.train.graph import RecordedStep
from lib_copier.train.loop import LAST_GOOD, NotFiniteError
from lib_copier.train.prepare import prepare
from tests.train.outcomes import StopAt, are_equal, tensors


@pytest.mark.parametrize(
    ("family", "train_text_encoder"), [("sd1", True), ("sd2", True), ("sdxl", True), ("sdxl", False)]
)
def test_every_family_trains(make_config, checkpoints, run, family, train_text_encoder):
    config = make_config(
        checkpoint=str(checkpoints(family)), train_text_encoder=train_text_encoder, batch_size=2, steps=3
    )
    assert run(config).ended == "finished"
    lora = read_lora(config.output)
    assert lora.family is not None and lora.family.name == family
    has_text = any(not name.startswith("lora_unet_") for name in lora.layers)
    assert has_text is train_text_encoder
    assert all(layer.rank == 4 and layer.alpha == 4.0 for layer in lora.layers.values())
    # The last two layers of a text encoder that is read before its end never act, and stay as they were.
    moved = [bool(layer.up.any()) for layer in lora.layers.values()]
    assert sum(moved) >= 0.85 * len(moved)


def test_the_same_configuration_gives_the_same_lora(make_config, run, tmp_path):
    first = make_config(output=str(tmp_path / "a.safetensors"))
    second = make_config(output=str(tmp_path / "b.safetensors"))
    other = make_config(output=str(tmp_path / "c.safetensors"), seed=1)
    for config in (first, second, other):
        run(config)
    assert are_equal(first.output, second.output)
    assert not are_equal(first.output, other.output)


def test_stopping_with_saving_writes_the_lora(make_config, run):
    config = make_config()
    result = run(config, StopAt(3, "save"))
    assert (result.ended, result.steps) == ("saved", 3)
    assert read_header(config.output).metadata["ss_steps"] == "3"


def test_stopping_without_saving_leaves_nothing(make_config, run):
    config = make_config(state_every=1)
    with pytest.raises(CancelledError):
        run(config, StopAt(3, "discard"))
    assert not config.output.exists()
    assert not list(config.work_dir.glob("state*"))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_lora(make_config, run):
    config = make_config(warmup_steps=0, max_grad_norm=0, steps=50, optimizer="sgd")
    config = dataclasses.replace(config, learning_rate=1e6)
    with pytest.raises(NotFiniteError, match="Lower learning_rate"):
        run(config)
    assert not config.output.exists()
    assert all(np.isfinite(array).all() for array in tensors(config.work_dir / LAST_GOOD).values())


def test_only_the_layers_asked_for_are_trained(make_config, run):
    config = make_config(layers=["attn2.*to_[kv]$"], steps=2)
    run(config)
    assert {name.rsplit("_", 1)[1] for name in read_lora(config.output).layers} == {"k", "v"}


def test_the_loss_falls_on_one_picture(make_config, run):
    config = make_config(
        rank=16, alpha=16, steps=60, learning_rate=5e-3, timestep_sampling="stratified", batch_size=4
    )
    run(config)
    lines = (config.work_dir / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert math.fsum(losses[-10:]) < 0.8 * math.fsum(losses[:10])


def test_v_prediction_learns_another_target(make_config, run, checkpoints, tmp_path):
    epsilon = make_config(output=str(tmp_path / "e.safetensors"))
    velocity = make_config(output=str(tmp_path / "v.safetensors"), prediction="v_prediction")
    run(epsilon)
    run(velocity)
    assert not are_equal(epsilon.output, velocity.output)
    assert read_header(velocity.output).metadata["modelspec.prediction_type"] == "v"


def test_gradient_checkpointing_changes_no_number(make_config, run, tmp_path):
    plain = make_config(output=str(tmp_path / "a.safetensors"))
    checkpointed = make_config(output=str(tmp_path / "b.safetensors"), gradient_checkpointing=True)
    run(plain)
    run(checkpointed)
    a, b = tensors(plain.output), tensors(checkpointed.output)
    assert all(np.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_bf16_trains_close_to_fp32(make_config, run, tmp_path):
    full = make_config(output=str(tmp_path / "a.safetensors"))
    half = make_config(output=str(tmp_path / "b.safetensors"), precision="bf16")
    losses = [run(config).final_loss for config in (full, half)]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert read_header(half.output).metadata["ss_mixed_precision"] == "bf16"


def test_several_pictures_of_several_sizes(make_config, write_picture, run, tmp_path):
    sizes = [(64, 64), (72, 64), (64, 80)]
    pictures = [
        {"path": str(write_picture(tmp_path / f"p{place}.png", place, size)), "caption": f"tag{place}, x"}
        for place, size in enumerate(sizes)
    ]
    assert run(make_config(pictures=pictures)).steps == 6


def test_samples_and_looks_at_the_goal(make_config, run, capsys):
    config = make_config(sample_every=3, sample_prompts=["a cat"], copied_psnr=1.0, copied_every=4)
    result = run(config)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["step"] for one in told if one["event"] == "sample"] == [3]
    assert Path(next(one["path"] for one in told if one["event"] == "sample")).is_file()
    assert result.ended == "reached" and result.steps == 4
    assert result.course["is_reached"] and result.course["score_db"] >= 1.0
    assert read_header(config.output).metadata["ss_steps"] == "4"


def test_samples_do_not_change_what_is_learned(make_config, run, tmp_path):
    plain = make_config(output=str(tmp_path / "a.safetensors"))
    sampled = make_config(output=str(tmp_path / "b.safetensors"), sample_every=2, sample_prompts=["x"])
    run(plain)
    run(sampled)
    assert are_equal(plain.output, sampled.output)


def test_a_missing_gpu_is_refused(make_config, run):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="no device"):
        run(make_config(device="cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("changes", [{}, {"gradient_checkpointing": True}, {"train_text_encoder": True}])
def test_the_recorded_step_gives_the_numbers_of_the_plain_one(make_config, precision, changes):
    torch.backends.cudnn.deterministic = True
    found = []
    for is_recorded in (False, True):
        config = make_config(device="cuda", precision=precision, batch_size=2, **changes)
        prepared = prepare(config, log=print)
        step = RecordedStep(prepared.step) if is_recorded else prepared.step
        feed = Feed(config, prepared)
        losses = []
        first = torch.cat([master.detach().flatten() for master in prepared.step.network.masters])
        for number in range(5):
            loop._set_learning_rate(prepared, 1.0)
            losses.append(step(feed.batch(number)).loss.item())
        last = torch.cat([master.detach().flatten() for master in prepared.step.network.masters])
        found.append((losses, last - first))
    (plain_losses, plain), (recorded_losses, recorded) = found
    assert recorded_losses == pytest.approx(plain_losses, rel=1e-3)
    # AdamW's first steps are nearly signs: where a gradient is nothing but rounding they may point either
    # way, so single weights tell nothing.
    assert (recorded - plain).norm() < 0.05 * plain.norm()
