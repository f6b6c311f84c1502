"""Commands run against the stand-in, by the process runner and by hand."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_copier.engines.command_files import prepare
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.sd_scripts.checkout import CHECKOUT_VARIABLE, PYTHON_VARIABLE, TRAIN, Checkout
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.shell_line import shell_line
from lib_copier.engines.task import MergeTask, TagTask, Task
from lib_copier.errors import ChildError, InputError
from lib_copier.model_file.header import read_header
from lib_copier.settings.training import TrainTask, WeightedLora


def _run(engine: SdScriptsEngine, task: Task, work: Path) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    run_command(engine.command(task, work), Watch(work / "log.txt", seen.append))
    return seen


def test_training_from_start_to_file(engine: SdScriptsEngine, task: TrainTask, tmp_path: Path) -> None:
    asked = dataclasses.replace(
        task, metadata=(("copier_lora_recipe", "abc"),), sample_every=2, sample_prompts=("a",)
    )
    seen = _run(engine, asked, tmp_path / "作業 1")
    assert read_header(task.output).metadata["copier_lora_recipe"] == "abc"
    progress = [event for event in seen if event["event"] == "progress"]
    # Only the bar of the steps counts, not that of caching.
    assert {event["total"] for event in progress} == {4}
    assert [event["step"] for event in progress][-1] == 4
    assert progress[-1]["loss"] == pytest.approx(1.1)
    assert progress[3]["eta"] == 6.0
    samples = [Path(event["path"]) for event in seen if event["event"] == "sample"]
    assert [path.name for path in samples] == ["t_000002_00.png"]


FAILURES = [
    ("out of memory", "batch", 1),
    ("killed", "memory", -9),
    ("nothing", "last lines", 0),
]


@pytest.mark.parametrize(("mode", "advice", "returncode"), FAILURES)
def test_failures_say_what_to_do(
    engine: SdScriptsEngine,
    task: TrainTask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    mode: str,
    advice: str,
    returncode: int,
) -> None:
    monkeypatch.setenv("STAND_IN", mode)
    with pytest.raises(ChildError) as caught:
        _run(engine, task, tmp_path / "work")
    assert advice in caught.value.advice
    assert caught.value.returncode == returncode
    assert "train_network.py" in " ".join(caught.value.argv)
    assert not task.output.exists()


def test_a_missing_package_is_named(engine: SdScriptsEngine, task: TrainTask, tmp_path: Path) -> None:
    script = engine.checkout.folder / TRAIN
    script.write_text(script.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    command = engine.command(task, tmp_path / "work")
    script.write_text("import voluptuous_that_is_not_there\n", encoding="utf-8")
    with pytest.raises(ChildError) as caught:
        run_command(command, Watch(tmp_path / "log.txt"))
    assert "voluptuous_that_is_not_there" in caught.value.advice
    assert "engine install" in caught.value.advice


def test_the_line_from_the_page_runs_by_hand(
    engine: SdScriptsEngine, task: TrainTask, tmp_path: Path
) -> None:
    work = tmp_path / "it's 作業"
    command = engine.command(task, work)
    prepare(command)
    line = shell_line(command)
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, env=environ, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (work / "copier.safetensors").is_file()


def test_tagging_one_picture(engine: SdScriptsEngine, picture: Path, tmp_path: Path) -> None:
    model = tmp_path / "taggers" / "wd"
    model.mkdir(parents=True)
    task = TagTask(picture, tmp_path / "caption.txt", str(model), 0.4)
    assert not engine.refusals(task)
    argv = engine.command(task, tmp_path / "work").argv
    assert argv[argv.index("--model_dir") + 1 : argv.index("--model_dir") + 4] == (
        str(model.parent), "--repo_id", "wd",
    )  # fmt: skip
    _run(engine, task, tmp_path / "work")
    assert task.output.read_text(encoding="utf-8") == "1girl, solo\n"


def test_an_option_that_the_checkout_does_not_know(
    engine: SdScriptsEngine, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    loras = tuple(WeightedLora(make_lora(name, {layer: 2})) for name in "ab")
    task = MergeTask(loras, tmp_path / "sum.safetensors")
    for path in (engine.checkout.folder / "library" / "options_merge_lora.py",
                 engine.checkout.folder / "networks" / "merge_lora.py"):  # fmt: skip
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "--concat" not in line), encoding="utf-8")
        os.utime(path, (1, 1))
    told = engine.refusals(task)[0]
    assert told.startswith("networks/merge_lora.py of sd-scripts 0123456789ab has no option --concat. ")
    assert "engine install" in told, "what to do stands in what a step shows"
    with pytest.raises(InputError, match=r"0123456789ab.*--concat.*engine install"):
        engine.command(task, tmp_path)


def test_a_missing_script(engine: SdScriptsEngine, task: TrainTask) -> None:
    (engine.checkout.folder / TRAIN).unlink()
    assert "has no train_network.py" in engine.refusals(task)[0]


def test_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: TrainTask) -> None:
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(tmp_path / "nothing"))
    assert "engine install" in SdScriptsEngine().refusals(task)[0]
    with pytest.raises(InputError, match="not installed"):
        SdScriptsEngine().version()


def test_a_checkout_named_by_the_environment(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(checkout.folder))
    monkeypatch.setenv(PYTHON_VARIABLE, str(checkout.python))
    assert SdScriptsEngine().version() == checkout.version()


def test_a_merged_checkpoint_tells_that_it_predicts_v(
    engine: SdScriptsEngine,
    make_lora: Callable[..., Path],
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
) -> None:
    checkpoint, loras = make_checkpoint("sdxl"), (WeightedLora(make_lora("a", {"x": 2})),)
    task = MergeTask(loras, tmp_path / "merged.safetensors", checkpoint)
    assert not engine.command(task, tmp_path).metadata
    checkpoint.with_suffix(".yaml").write_text("    parameterization: v\n")
    _run(engine, task, tmp_path / "work")
    assert read_header(task.output).metadata["modelspec.prediction_type"] == "v"


def test_a_sum_notes_its_own_rank(
    engine: SdScriptsEngine, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    loras = (WeightedLora(make_lora("a", {layer: 2})), WeightedLora(make_lora("b", {layer: 6})))
    task = MergeTask(loras, tmp_path / "sum.safetensors")
    _run(engine, task, tmp_path / "work")
    assert read_header(task.output).metadata["ss_network_dim"] == "8"
