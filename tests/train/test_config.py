"""Configurations are read whole: good ones typed, bad ones with every fault named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lib_copier.errors import FaultsError, InputError
from lib_copier.settings.training import Picture, TrainTask
from lib_copier.train.config import RULES, TrainConfig, parse_config, read_config


@pytest.fixture
def minimal(tmp_path: Path) -> dict:
    for name in ("model.safetensors", "a.png", "m.png"):
        (tmp_path / name).write_bytes(b"x")
    return {
        "checkpoint": str(tmp_path / "model.safetensors"),
        "output": str(tmp_path / "out.safetensors"),
        "pictures": [
            {"path": str(tmp_path / "a.png"), "caption": "cat, hat", "mask": str(tmp_path / "m.png")}
        ],
    }


def test_the_fields_are_those_of_the_task_and_one_of_its_own():
    own = {field.name for field in dataclasses.fields(TrainConfig)}
    assert own - {field.name for field in dataclasses.fields(TrainTask)} == {"work_dir"}
    assert own == set(RULES)


def test_a_minimal_configuration_is_typed(minimal, tmp_path):
    config = parse_config(minimal)
    assert config.pictures == (Picture(tmp_path / "a.png", "cat, hat", tmp_path / "m.png"),)
    assert config.work_dir == tmp_path / "out.work"
    assert (config.rank, config.alpha, config.steps, config.warmup_steps) == (64, 32.0, 3072, 500)


def test_a_caption_is_taken_at_its_word_but_for_tags(minimal):
    minimal["pictures"][0]["caption"] = "(cat:1.2), hat, <lora:thick:0.5>"
    assert parse_config(minimal).pictures[0].caption == "(cat:1.2), hat"


def test_every_option_is_taken(minimal, tmp_path):
    given = minimal | {
        "work_dir": str(tmp_path / "w"),
        "vae": None,
        "base_loras": [{"path": str(tmp_path / "a.png"), "weight": -0.5}],
        "conv_rank": 4,
        "conv_alpha": 2,
        "layers": ["attn2", "ff_net"],
        "optimizer_args": {"weight_decay": 0.1, "betas": "0.9,0.99"},
        "min_snr_gamma": 5,
        "copied_psnr": 24,
        "sample_prompts": ["a", "b"],
        "metadata": {"copier_recipe": "abc"},
        "timestep_sampling": "stratified",
    }
    config = parse_config(given)
    assert config.base_loras[0].weight == -0.5
    assert config.optimizer_args == ("weight_decay=0.1", "betas=0.9,0.99")
    assert config.metadata == (("copier_recipe", "abc"),)
    assert config.min_snr_gamma == 5.0 and isinstance(config.min_snr_gamma, float)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rank", 0, "from 1 to 1024"),
        ("rank", True, "whole number"),
        ("rank", "64", "whole number"),
        ("rank", 2.5, "whole number"),
        ("alpha", float("nan"), "is a number"),
        ("alpha", 0, "from 0.01"),
        ("learning_rate", -1e-4, "from 1e-08"),
        ("learning_rate", [1], "is a number"),
        ("steps", 0, "from 1"),
        ("batch_size", 0, "from 1"),
        ("timestep_max", 1001, "from 1 to 1000"),
        ("lr_scheduler", "cosin", "one of constant, cosine, linear"),
        ("precision", "tf32", "one of auto, fp32"),
        ("train_text_encoder", "yes", "yes or no"),
        ("layers", ["("], "no regular expression"),
        ("layers", "attn", "list of texts"),
        ("pictures", [], "is missing"),
        ("checkpoint", "x" * 5000, "is not there"),
        ("pictures", [{"caption": "x"}], "[0]: path is missing"),
        ("pictures", [{"path": "/nowhere.png", "captoin": "x"}], "did you mean caption?"),
        ("pictures", [{"path": "/nowhere.png"}], "is not there"),
        ("base_loras", [{"path": "/nowhere.safetensors"}], "is not there"),
        ("base_loras", {}, "must be a list"),
        ("base_loras", [{"path": __file__, "weight": 101}], "weight is a number from -100 to 100"),
        ("checkpoint", "/nowhere.safetensors", "is not there"),
        ("checkpoint", "", "must be a path"),
        ("output", "lora.pt", "must end in .safetensors"),
        ("optimizer", "adamx", "one of adamw"),
        ("optimizer", "transformers.pipeline", "one of adamw"),
        ("optimizer_args", ["trust_remote_code=True"], "is no argument of adamw"),
        ("optimizer_args", ["a"], "is not NAME=VALUE"),
        ("optimizer_args", {"betas": None}, "2 numbers divided by commas"),
        ("seed", -1, "from 0"),
        ("metadata", {"a": {}}, "text or a number"),
        ("cuda_graph", "yes", "one of auto, on, off"),
        ("copied_psnr", 0, "from 1 to 100"),
    ],
)
def test_a_bad_value_is_named(minimal, name, value, words):
    with pytest.raises(FaultsError) as caught:
        parse_config(minimal | {name: value})
    assert name in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"timestep_min": 500, "timestep_max": 500}, "timestep_min 500 is not below"),
        ({"conv_alpha": 4}, "without conv_rank"),
        ({"learning_rat": 1}, "did you mean learning_rate?"),
    ],
)
def test_values_that_do_not_go_together_are_named(minimal, values, words):
    with pytest.raises(FaultsError, match=words.replace("?", r"\?")):
        parse_config(minimal | values)


def test_all_faults_come_at_once(minimal):
    with pytest.raises(FaultsError) as caught:
        parse_config({"rank": 0, "stepps": 3, "pictures": minimal["pictures"]})
    assert len(caught.value.faults) == 4  # rank, stepps, checkpoint and output missing


@pytest.mark.parametrize(
    ("content", "words"), [("{", "no sound JSON"), ("[]", "no JSON object"), ("\ud800", "not UTF-8")]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, words):
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=words):
        read_config(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_config(tmp_path / "none.json")


def test_a_file_is_read(minimal, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(minimal | {"rank": 8}), encoding="utf-8")
    assert read_config(path).rank == 8


@pytest.mark.parametrize(
    "unseen", [["cat, red hat, outdoors"], ["a dog"], ["a dog", "(cat:1.2), red hat, outdoors"]]
)
def test_a_goal_needs_a_prompt_that_is_not_learned(make_config, unseen):
    learned = {"other_prompts": ["a dog"], "other_prompt_share": 0.5}
    with pytest.raises(FaultsError, match="unseen_prompts are all"):
        make_config(copied_psnr=28, unseen_prompts=unseen, **learned)
    assert make_config(copied_psnr=28, unseen_prompts=[*unseen, "a cup"], **learned).own_unseen_prompts == (
        "a cup",
    )


@pytest.mark.parametrize(
    "turns",
    [
        [{"step": 1, "rate": 1e-3, "back_to": 0}],
        [{"step": 0, "rate": 0, "back_to": 0}],
        [{"step": 0, "rate": 1e-3, "back_to": 5}],
        [{"step": 0, "rate": 1e-3, "back_to": 0}, {"step": 0, "rate": 1e-3, "back_to": 0}],
        [{"step": 0, "rate": True, "back_to": 0}],
        [3],
        {"step": 0},
    ],
)
def test_turns_that_make_no_way_are_refused(make_config, turns):
    with pytest.raises(FaultsError, match="turns must"):
        make_config(turns=turns)
