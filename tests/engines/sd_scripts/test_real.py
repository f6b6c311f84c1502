"""The real thing, where COPIER_LORA_SD_SCRIPTS names a checkout and …_PYTHON its Python."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.parity_algebra import NEW_RANK, compare_algebra
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.sd_scripts.checkout import CHECKOUT_VARIABLE, SCRIPTS
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.sd_scripts.options import script_options
from lib_copier.engines.task import ExtractTask, MergeTask, ResizeTask, SvdMergeTask, TagTask, Task
from lib_copier.lora.file import read_lora
from lib_copier.settings.training import Picture, TrainTask, WeightedLora

NAMED = os.environ.get(CHECKOUT_VARIABLE)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NAMED, reason=f"{CHECKOUT_VARIABLE} names no checkout"),
]
CHECKPOINT_VARIABLE = "COPIER_LORA_SD_CHECKPOINT"

_PARSE = """
import importlib.util, json, pathlib, sys
for number, (script, *arguments) in enumerate(json.load(sys.stdin)):
    # As Python does for a script that it runs: its own folder comes first.
    sys.path.insert(0, str(pathlib.Path(script).parent))
    spec = importlib.util.spec_from_file_location(f"script_{number}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.setup_parser().parse_args(arguments)
"""


def test_its_options_are_the_recorded_ones(recorded: dict[str, dict[str, list[str]]]) -> None:
    folder = Path(NAMED or "")
    for script in SCRIPTS:
        wanted = {name for names in recorded[script].values() for name in names if name.startswith("--")}
        assert script_options(folder, folder / script) == wanted


def test_its_algebra_beside_the_exact_answer(tmp_path: Path) -> None:
    rows = {
        (row.task, row.measure): row
        for row in compare_algebra(SdScriptsEngine(), tmp_path, layer_count=2, seed=0)
    }
    total = rows["sum 0.7 a - 0.5 b", "relative error"]
    assert total.embedded < 1e-6
    assert total.sd_scripts < 1e-6
    typed = rows["difference a - b, ratios 1 -1 as typed", "cosine to the exact one"]
    assert typed.embedded > 1 - 1e-6
    assert typed.sd_scripts < 0.9
    resize = rows[f"resize to rank {NEW_RANK}", "error beyond the optimum's"]
    assert abs(resize.embedded) < 1e-6
    assert abs(resize.sd_scripts) < 1e-6
    clamped = rows[f"svd-merge a - b to rank {NEW_RANK}", "error beyond the optimum's"]
    assert abs(clamped.embedded) < 1e-6 < clamped.sd_scripts


@pytest.mark.skipif(CHECKPOINT_VARIABLE not in os.environ, reason="no Stable Diffusion 1.x checkpoint named")
def test_it_trains_and_goes_on_from_its_state(task: TrainTask, tmp_path: Path) -> None:
    checkpoint = Path(os.environ[CHECKPOINT_VARIABLE])
    asked = dataclasses.replace(task, checkpoint=checkpoint, steps=3, warmup_steps=0, rank=4, state_every=2)
    engine, work = SdScriptsEngine(), tmp_path / "仕事 場"
    seen: list[dict[str, object]] = []
    run_command(engine.command(asked, work), Watch(tmp_path / "log.txt", seen.append))
    first = read_lora(asked.output)
    assert len(first.layers) == 264
    assert {event["total"] for event in seen if event["event"] == "progress"} == {3}
    again = engine.command(asked, work)
    assert str(work / "copier-step00000002-state") in again.argv
    seen.clear()
    run_command(again, Watch(tmp_path / "log.txt", seen.append))
    progress = [event for event in seen if event["event"] == "progress"]
    assert {event["total"] for event in progress} == {3}
    assert {event["step"] for event in progress} == {2, 3}


def test_it_takes_our_loras(make_lora: Callable[..., Path], tmp_path: Path) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    loras = tuple(WeightedLora(make_lora(name, {layer: 4}), 0.5) for name in "ab")
    task = MergeTask(loras, tmp_path / "合計.safetensors")
    run_command(SdScriptsEngine().command(task, tmp_path), Watch(tmp_path / "log.txt"))
    assert read_lora(task.output).layers[layer].rank == 8


def test_its_parsers_take_every_command_line(
    make_checkpoint: Callable[..., Path], make_lora: Callable[..., Path], task: TrainTask, tmp_path: Path
) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    engine, argvs = SdScriptsEngine(), []
    picture = task.pictures[0].path
    tasks: list[Task] = [TagTask(picture, tmp_path / "caption.txt")]
    for family, width in (("sd1", 768), ("sd2", 1024), ("sdxl", 2048)):
        checkpoint, output = make_checkpoint(family), tmp_path / f"{family}.safetensors"
        pair = [WeightedLora(make_lora(f"{family} {name}", {layer: 4}, width=width), weight)
                for name, weight in (("a", 1.0), ("b", -1e-5))]  # fmt: skip
        plain = dataclasses.replace(task, checkpoint=checkpoint, prediction="epsilon")
        tasks += [
            plain,
            dataclasses.replace(
                plain,
                pictures=(Picture(picture, "1girl", mask=picture),),
                vae=checkpoint,
                prediction="v_prediction",
                base_loras=tuple(pair),
                conv_rank=4,
                conv_alpha=1e-5,
                text_encoder_lr=5e-5,
                optimizer="adafactor",
                batch_size=2,
                timestep_min=10,
                timestep_max=900,
                min_snr_gamma=5.0,
                max_grad_norm=0.0,
                gradient_checkpointing=True,
                clip_skip=1 if family == "sdxl" else 2,
                lr_scheduler="cosine",
                sample_every=2,
                sample_prompts=("-- x",),
                state_every=2,
            ),
            MergeTask(tuple(pair), output),
            MergeTask(tuple(pair), output, checkpoint=checkpoint),
            SvdMergeTask(tuple(pair), output, device="cuda"),
            ResizeTask(pair[0].path, output, 2, 1, "sv_fro", 0.9, device="cuda"),
            ExtractTask(checkpoint, checkpoint, output, conv_rank=4, device="cuda"),
        ]
    for one in tasks:
        command = engine.command(one, tmp_path / "work")
        argvs.append(command.argv[1:])
    environment = {**os.environ, **dict(command.env)}
    ended = subprocess.run(
        [command.argv[0], "-c", _PARSE],
        input=json.dumps(argvs),
        cwd=command.cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
