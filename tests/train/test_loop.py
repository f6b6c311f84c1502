"""The whole training on tiny checkpoints: what it learns, how it stops, and that it goes on exactly."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_copier.errors import CancelledError, InputError
from lib_copier.lora.file import read_lora
from lib_copier.lora.header import read_header
from lib_copier.train import loop
from lib_copier.train.control import StopRequests
from lib_copier.train.feed import Feed
from lib_copier.train.graph import RecordedStep
from lib_copier.train.loop import LAST_GOOD, NotFiniteError
from lib_copier.train.prepare import prepare


def tensors(path: Path) -> dict[str, np.ndarray]:
    found = {}
    for name, layer in read_lora(path).layers.items():
        found |= {f"{name}.up": layer.up, f"{name}.down": layer.down}
    return found


def are_equal(first: Path, second: Path) -> bool:
    a, b = tensors(first), tensors(second)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class StopAt(StopRequests):
    """Wishes to stop once a number of steps has been asked about."""

    def __init__(self, step: int, wish: str) -> None:
        super().__init__(None)
        self._left = step
        self._word = wish

    def wish(self) -> str | None:
        self._left -= 1
        return self._word if self._left < 0 else None


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


def test_two_pictures_start_alike_and_get_the_same_noise(make_config, write_picture, tmp_path):
    picture = write_picture(tmp_path / "edited.png", 2)
    runs = []
    for pictures in (None, [{"path": str(picture), "caption": "a dog"}]):
        config = make_config(batch_size=2, **({"pictures": pictures} if pictures else {}))
        prepared = prepare(config, log=print)
        runs.append((prepared, Feed(config, prepared)))
    (first, first_feed), (second, second_feed) = runs
    for a, b in zip(first.step.network.masters, second.step.network.masters, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.pictures[0].latents, second.pictures[0].latents)
    for step in range(6):
        a, b = first_feed.batch(step), second_feed.batch(step)
        assert torch.equal(a.noise, b.noise)
        assert torch.equal(a.timesteps, b.timesteps)


@pytest.mark.parametrize("changes", [{}, {"train_text_encoder": True, "lr_scheduler": "cosine"}])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(make_config, run, tmp_path, changes):
    changes |= {"batch_size": 2, "shuffle_caption": True}
    whole = make_config(output=str(tmp_path / "whole.safetensors"), **changes)
    run(whole)
    broken = make_config(output=str(tmp_path / "broken.safetensors"), **changes)
    with pytest.raises(CancelledError):
        run(broken, StopAt(4, "pause"))
    assert not broken.output.exists()
    notes: list[str] = []
    run(broken, log=notes.append)
    assert "Going on after step 4." in notes
    assert are_equal(whole.output, broken.output)
    steps = [
        json.loads(line)["step"] for line in (broken.work_dir / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert not list(broken.work_dir.glob("state*"))


def test_a_run_killed_between_states_goes_on_from_the_last(make_config, run, tmp_path, monkeypatch):
    whole = make_config(output=str(tmp_path / "whole.safetensors"))
    run(whole)
    killed = make_config(output=str(tmp_path / "killed.safetensors"), state_every=2)
    monkeypatch.setattr(loop, "_set_learning_rate", _die_after(5, loop._set_learning_rate))
    with pytest.raises(KeyboardInterrupt):
        run(killed)
    monkeypatch.undo()
    (killed.work_dir / "state.pt").write_bytes(b"torn")
    notes: list[str] = []
    run(killed, log=notes.append)
    assert notes[0].startswith("state.pt cannot be read") and notes[1] == "Going on after step 2."
    assert are_equal(whole.output, killed.output)


def _die_after(calls: int, real):
    left = [calls]

    def fake(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*args)

    return fake


def test_a_state_of_other_settings_is_not_used(make_config, run):
    with pytest.raises(CancelledError):
        run(make_config(), StopAt(3, "pause"))
    notes: list[str] = []
    run(make_config(learning_rate=2e-3), log=notes.append)
    assert any("other settings" in note for note in notes)


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


def test_the_metadata_is_that_of_sd_scripts(make_config, run):
    config = make_config(metadata={"copier_note": "x"}, min_snr_gamma=5, conv_rank=2, conv_alpha=1)
    run(config)
    found = read_header(config.output).metadata
    expected = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
        "ss_network_alpha": "4.0",
        "ss_learning_rate": "0.001",
        "ss_lr_scheduler": "constant_with_warmup",
        "ss_steps": "6",
        "ss_seed": "0",
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_sd_model_name": config.checkpoint.name,
        "ss_mixed_precision": "no",
        "ss_min_snr_gamma": "5.0",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.prediction_type": "epsilon",
        "modelspec.resolution": "64x64",
        "copier_note": "x",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert {"sshs_model_hash", "sshs_legacy_hash", "ss_new_sd_model_hash", "ss_session_id"} <= found.keys()
    assert json.loads(found["ss_tag_frequency"]) == {config.pictures[0].path.parent.name: _counts(config)}
    assert json.loads(found["ss_datasets"])[0]["resolution"] == [64, 64]
    assert json.loads(found["ss_network_args"]) == {"conv_dim": "2", "conv_alpha": "1.0"}


def _counts(config) -> dict[str, int]:
    return {tag.strip(): 1 for tag in config.pictures[0].caption.split(",")}


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


def test_base_loras_change_the_model_that_is_trained(make_config, run, tmp_path):
    copier = make_config(
        output=str(tmp_path / "copier.safetensors"), train_text_encoder=True, learning_rate=1e-2
    )
    run(copier)
    prepared = [
        prepare(make_config(base_loras=[{"path": str(copier.output), "weight": weight}]), log=print)
        for weight in (0.0, 1.0)
    ]
    plain, baked = (_answer(one, Feed(make_config(), one).batch(0)) for one in prepared)
    assert not torch.allclose(plain, baked)
    untouched = prepare(make_config(), log=print)
    assert torch.equal(plain, _answer(untouched, Feed(make_config(), untouched).batch(0)))


def _answer(prepared, batch) -> torch.Tensor:
    with torch.no_grad():
        return prepared.step.loss(batch)


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


def test_masked_places_are_not_learned(make_config, write_picture, tmp_path):
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    pictures = [{"path": str(write_picture(tmp_path / "a.png", 1)), "mask": str(tmp_path / "mask.png")}]
    config = make_config(pictures=pictures)
    prepared = prepare(config, log=print)
    batch = Feed(config, prepared).batch(0)
    assert torch.equal(batch.mask[0, 0], torch.cat([torch.ones(8, 4), torch.zeros(8, 4)], dim=1))


def test_several_pictures_of_several_sizes(make_config, write_picture, run, tmp_path):
    sizes = [(64, 64), (72, 64), (64, 80)]
    pictures = [
        {"path": str(write_picture(tmp_path / f"p{place}.png", place, size)), "caption": f"tag{place}, x"}
        for place, size in enumerate(sizes)
    ]
    assert run(make_config(pictures=pictures)).steps == 6


def test_samples_and_the_copy_check(make_config, run, capsys):
    config = make_config(sample_every=3, sample_prompts=["a cat"], copied_psnr=1.0, copied_every=4)
    result = run(config)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["step"] for one in told if one["event"] == "sample"] == [3]
    assert Path(next(one["path"] for one in told if one["event"] == "sample")).is_file()
    assert result.ended == "copied" and result.steps == 4
    assert result.copied_psnr >= 1.0
    assert read_header(config.output).metadata["ss_steps"] == "4"


def test_a_copy_check_needs_no_sample_prompts(make_config, run):
    assert run(make_config(steps=2, sample_every=1, copied_psnr=99, copied_every=2)).copied_psnr < 99


def test_samples_do_not_change_what_is_learned(make_config, run, tmp_path):
    plain = make_config(output=str(tmp_path / "a.safetensors"))
    sampled = make_config(
        output=str(tmp_path / "b.safetensors"),
        sample_every=2,
        sample_prompts=["x"],
        copied_psnr=99,
        copied_every=2,
    )
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
