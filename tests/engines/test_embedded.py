"""Tasks as commands of our own parts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lib_copier.engines import locate
from lib_copier.engines.choose import engine_named
from lib_copier.engines.embedded import EmbeddedEngine, job_command
from lib_copier.engines.task import ExtractTask, MergeTask, ResizeTask, SvdMergeTask, TagTask
from lib_copier.environment.stamp import Stamp, write_stamp
from lib_copier.errors import InputError
from lib_copier.settings.training import Picture, TrainTask, WeightedLora

HERE = Path("/x")
TWO = (WeightedLora(HERE / "a b.safetensors"), WeightedLora(HERE / "c", -0.5))


def words(task, work: Path = HERE) -> str:
    command = EmbeddedEngine().command(task, work)
    assert command.argv[0] == str(locate.python()) and command.argv[1] == "-m"
    return " ".join(command.argv[2:])


@pytest.mark.parametrize(
    ("task", "parts"),
    [
        (MergeTask(TWO, HERE / "o"), "lora merge --models /x/a b.safetensors /x/c --ratios 1.0 -0.5"),
        (MergeTask(TWO, HERE / "o", checkpoint=HERE / "m"), "--sd_model /x/m --models"),
        (MergeTask(TWO, HERE / "o", checkpoint=HERE / "m", prediction="v_prediction"),
         "--sd_model /x/m --v_parameterization --models"),
        (SvdMergeTask(TWO, HERE / "o", 4, 2), "svd-merge --models /x/a b.safetensors /x/c --ratios 1.0 -0.5 "
         "--new_rank 4 --new_conv_rank 2"),
        (ResizeTask(HERE / "l", HERE / "o", 4), "lora resize --model /x/l --new_rank 4 --save_to /x/o"),
        (ResizeTask(HERE / "l", HERE / "o", 4, dynamic_method="sv_fro", dynamic_param=0.9),
         "--dynamic_method sv_fro --dynamic_param 0.9"),
        (ExtractTask(HERE / "m", HERE / "t", HERE / "o", 16),
         "extract --model_org /x/m --model_tuned /x/t --dim 16"),
        (TagTask(HERE / "p", HERE / "o", "m", 0.4), "lib_copier.caption /x/p /x/o --model m --threshold 0.4"),
    ],
)  # fmt: skip
def test_flags_are_those_of_sd_scripts(task, parts) -> None:
    assert parts in words(task)


def test_a_training_is_a_file_with_the_task_s_own_names(tmp_path) -> None:
    task = TrainTask(
        HERE / "m",
        HERE / "o",
        (Picture(HERE / "p", "a, b", HERE / "mask"),),
        base_loras=TWO,
        optimizer_args=("betas=0.9,0.99",),
        metadata=(("k", "v"),),
    )
    command = EmbeddedEngine().command(task, tmp_path)
    ((path, text),) = command.files
    config = json.loads(text)
    assert command.argv[-1] == str(path)
    assert set(config) == {field.name for field in dataclasses.fields(TrainTask)} | {"work_dir"}
    assert config["pictures"] == [
        {"path": "/x/p", "caption": "a, b", "mask": "/x/mask", "origin": None, "walk": None}
    ]
    assert config["base_loras"][1] == {"path": "/x/c", "weight": -0.5}
    assert config["optimizer_args"] == ["betas=0.9,0.99"] and config["metadata"] == {"k": "v"}


def test_no_child_but_the_tagger_reaches_a_hub(tmp_path) -> None:
    tasks = [TrainTask(HERE / "m", HERE / "o", (Picture(HERE / "p"),)), MergeTask(TWO, HERE / "o")]
    commands = [EmbeddedEngine().command(task, tmp_path) for task in tasks]
    for command in (*commands, job_command("measure", {}, tmp_path / "job.json")):
        assert dict(command.env)["HF_HUB_OFFLINE"] == dict(command.env)["TRANSFORMERS_OFFLINE"] == "1"
    tagger = EmbeddedEngine().command(TagTask(HERE / "p", HERE / "o"), tmp_path)
    assert "HF_HUB_OFFLINE" not in dict(tagger.env)


def test_the_trainer_reads_every_name_that_is_written(tmp_path) -> None:
    from lib_copier.train.config import TrainConfig

    written = {field.name for field in dataclasses.fields(TrainTask)} | {"work_dir"}
    assert written <= {field.name for field in dataclasses.fields(TrainConfig)}


def test_engines_by_name() -> None:
    assert engine_named("embedded").name == "embedded"
    with pytest.raises(InputError, match="no engine"):
        engine_named("magic")


def test_the_python_of_the_children(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("COPIER_LORA_PYTHON", "/opt/python")
    assert locate.python() == Path("/opt/python")
    monkeypatch.delenv("COPIER_LORA_PYTHON")
    monkeypatch.setattr(locate, "root", lambda: tmp_path)
    # Where the set-up makes the environment, there the children's Python is.
    monkeypatch.setenv("COPIER_LORA_ENVIRONMENT", str(tmp_path / "elsewhere"))
    assert locate.python() == Path(locate.sys.executable)
    assert locate.own_python().is_relative_to(tmp_path / "elsewhere")
    locate.own_python().parent.mkdir(parents=True)
    locate.own_python().touch()
    write_stamp(tmp_path / "elsewhere", Stamp("3.11.7"))
    assert locate.python() == Path(locate.sys.executable), "a set-up ended half way"
    write_stamp(tmp_path / "elsewhere", Stamp("3.11.7", groups={"base": ()}))
    assert locate.python() == locate.own_python()
    assert dict(locate.child_environment())["PYTHONPATH"] == str(tmp_path)
