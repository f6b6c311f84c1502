"""Training tasks become the memo's command lines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.sd_scripts.train import latest_state, number
from lib_copier.settings.training import TrainTask, WeightedLora


def test_the_memos_copier_is_the_memos_command(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    command = engine.command(task, work)
    assert command.argv == (
        str(engine.checkout.python),
        str(engine.checkout.folder / "train_network.py"),
        *("--pretrained_model_name_or_path", str(task.checkpoint)),
        *("--dataset_config", str(work / "dataset.toml")),
        *("--output_dir", str(work), "--output_name", "copier", "--save_model_as", "safetensors"),
        *("--save_precision", "fp16"),
        *("--network_module", "networks.lora", "--network_dim", "64", "--network_alpha", "32"),
        *("--optimizer_type", "AdamW", "--learning_rate", "0.0001"),
        *("--lr_scheduler", "constant_with_warmup", "--lr_warmup_steps", "500"),
        *("--max_train_epochs", "6"),
        *("--mixed_precision", "no", "--seed", "0"),
        *("--cache_latents", "--max_data_loader_n_workers", "0", "--sdpa"),
        *("--tokenizer_cache_dir", str(work / "tokenizers")),
    )
    assert command.cwd == engine.checkout.folder
    assert dict(command.env)["PYTHONPATH"] == str(engine.checkout.folder)
    assert dict(command.env)["CUDA_VISIBLE_DEVICES"] == "-1"
    assert command.moves == ((work / "copier.safetensors", task.output),)
    assert not engine.refusals(task)


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"steps": 900}, ["--max_train_steps", "900"]),
    ({"rank": 128, "alpha": 64.0}, ["--network_dim", "128", "--network_alpha", "64"]),
    ({"conv_rank": 32, "conv_alpha": 16.0}, ["--network_args", "conv_dim=32", "conv_alpha=16"]),
    ({"conv_rank": 32}, ["--network_args", "conv_dim=32", "conv_alpha=1"]),
    ({"train_text_encoder": False}, ["--network_train_unet_only"]),
    ({"text_encoder_lr": 5e-5}, ["--text_encoder_lr", "0.00005"]),
    ({"lr_scheduler": "cosine"}, ["--lr_scheduler", "cosine", "--lr_warmup_steps", "500"]),
    ({"optimizer": "prodigy", "optimizer_args": ("weight_decay=0.01", "betas=0.9,0.99")},
     ["--optimizer_args", "weight_decay=0.01", "betas=(0.9, 0.99)"]),
    ({"optimizer": "prodigy"}, ["--optimizer_type", "Prodigy"]),
    ({"steps": 300}, ["--lr_warmup_steps", "300"]),
    ({"stop_after": 300}, ["--max_train_steps", "300"]),
    ({"optimizer": "adafactor"}, ["--optimizer_args", "relative_step=False"]),
    ({"min_snr_gamma": 5.0}, ["--min_snr_gamma", "5"]),
    ({"timestep_min": 200, "timestep_max": 900}, ["--min_timestep", "200", "--max_timestep", "900"]),
    ({"max_grad_norm": 0.0}, ["--max_grad_norm", "0"]),
    ({"prediction": "v_prediction"}, ["--v_parameterization"]),
    ({"clip_skip": 2}, ["--clip_skip", "2"]),
    ({"gradient_checkpointing": True}, ["--gradient_checkpointing"]),
    ({"precision": "bf16"}, ["--mixed_precision", "bf16"]),
    ({"save_precision": "float"}, ["--save_precision", "float"]),
    ({"seed": 2**32 - 1}, ["--seed", "4294967295"]),
    ({"state_every": 100}, ["--save_state", "--save_every_n_steps", "100", "--save_last_n_steps", "100"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "wanted"), CHANGES, ids=[next(iter(change)) for change, _ in CHANGES])
def test_every_setting_has_its_option(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path, change: dict[str, Any], wanted: list[str]
) -> None:
    argv = list(engine.command(dataclasses.replace(task, **change), tmp_path).argv)
    assert any(argv[index : index + len(wanted)] == wanted for index in range(len(argv))), argv


def test_a_warm_up_longer_than_the_training_is_told(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path
) -> None:
    command = engine.command(dataclasses.replace(task, steps=300), tmp_path)
    assert "rises over all its 300 steps" in command.notes[0]
    assert engine.command(task, tmp_path).notes == ()
    assert dict(command.env)["HF_HUB_OFFLINE"] == "1"


def test_a_plain_constant_schedule_without_warm_up(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path
) -> None:
    argv = engine.command(dataclasses.replace(task, warmup_steps=0), tmp_path).argv
    assert argv[argv.index("--lr_scheduler") + 1] == "constant"
    assert "--lr_warmup_steps" not in argv


def test_a_copier_model_without_a_file(
    engine: SdScriptsEngine, task: TrainTask, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    loras = (WeightedLora(make_lora("a", {"x": 2})), WeightedLora(make_lora("b", {"x": 2}), -0.25))
    argv = engine.command(dataclasses.replace(task, base_loras=loras), tmp_path).argv
    start = argv.index("--base_weights")
    assert argv[start : start + 6] == (
        "--base_weights", str(loras[0].path), str(loras[1].path), "--base_weights_multiplier", "1", "-0.25",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("family", "script", "flag", "tokenizers"),
    [("sd1", "train_network.py", "", 1), ("sd2", "train_network.py", "--v2", 1),
     ("sdxl", "sdxl_train_network.py", "--no_half_vae", 2)],
)  # fmt: skip
def test_each_family_has_its_script_and_tokenizers(
    engine: SdScriptsEngine,
    task: TrainTask,
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
    *,
    family: str,
    script: str,
    flag: str,
    tokenizers: int,
) -> None:
    changed = dataclasses.replace(task, checkpoint=make_checkpoint(family), prediction="epsilon")
    command = engine.command(changed, tmp_path)
    assert Path(command.argv[1]).name == script
    assert not flag or flag in command.argv
    vocabularies = [json.loads(text) for path, text in command.files if path.name == "vocab.json"]
    assert len(vocabularies) == tokenizers
    assert vocabularies[0]["<|startoftext|>"] == 49406
    assert vocabularies[0]["a</w>"] == 320


def test_sample_prompts_are_safe_from_option_marks(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path
) -> None:
    changed = dataclasses.replace(task, sample_every=50, sample_prompts=("a -- w 8 # 猫", "b"), seed=3)
    command = engine.command(changed, tmp_path)
    path = Path(command.argv[command.argv.index("--sample_prompts") + 1])
    first, second = json.loads(dict(command.files)[path])
    assert (first["prompt"], first["width"], first["height"], first["seed"]) == ("a -- w 8 # 猫", 128, 96, 3)
    assert second["seed"] == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers": ("attn2",)}, "layers by name"),
        ({"copied_psnr": 28.0}, "picture is copied"),
        ({"timestep_sampling": "stratified"}, "uniform"),
        ({"output": Path("copier.part")}, "copier.part"),
        ({"against_origin": True}, "what the copier prints"),
        ({"lr_scheduler": "cosine", "stop_after": 300}, "cannot end a cosine schedule"),
        ({"optimizer": "transformers.pipeline"}, "optimizer is one of adamw"),
        ({"optimizer_args": ("trust_remote_code=True",)}, "'trust_remote_code' is no argument of adamw"),
        ({"optimizer_args": ("weight_decay=__import__('os')",)}, "weight_decay is a number"),
    ],
)
def test_what_sd_scripts_cannot_do_is_refused(
    engine: SdScriptsEngine, task: TrainTask, change: dict[str, Any], reason: str
) -> None:
    if change.pop("against_origin", False):
        change["pictures"] = tuple(dataclasses.replace(one, origin=one.path) for one in task.pictures)
    refusals = engine.refusals(dataclasses.replace(task, **change))
    assert len(refusals) == 1
    assert reason in refusals[0]


def test_sd2_wants_its_prediction_told(
    engine: SdScriptsEngine, task: TrainTask, make_checkpoint: Callable[..., Path]
) -> None:
    unknown = dataclasses.replace(task, checkpoint=make_checkpoint("sd2"))
    assert "prediction type" in engine.refusals(unknown)[0]
    assert not engine.refusals(dataclasses.replace(unknown, prediction="v_prediction"))


def _save_state(folder: Path, *, is_whole: bool = True) -> None:
    folder.mkdir(parents=True)
    (folder / "train_state.json").write_text("{}")
    if is_whole:
        (folder / "random_states_0.pkl").write_bytes(b"")


def test_it_goes_on_from_the_newest_whole_state(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    for step in (100, 200):
        _save_state(work / f"copier-step{step:08d}-state")
    _save_state(work / "copier-step00000300-state", is_whole=False)
    _save_state(work / "copier-step00003072-state")
    _save_state(work / "other-step00000250-state")
    command = engine.command(task, work)
    argv = command.argv
    assert command.steps_before == 200
    assert engine.command(task, tmp_path / "new").steps_before == 0
    assert argv[argv.index("--resume") + 1] == str(work / "copier-step00000200-state")
    assert "--skip_until_initial_step" in argv
    assert latest_state(work, "copier", 100) is None


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_numbers_never_look_like_options(value: float) -> None:
    text = number(value)
    assert "e" not in text
    assert float(text) == value
