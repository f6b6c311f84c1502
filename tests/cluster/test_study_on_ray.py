"""A study on a real cluster: what nodes without a common disk make is what is made here, byte for byte."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lib_copier.model_file.families import SD1
from lib_copier.models.tiny import TINY, random_checkpoint
from lib_copier.recipe.model import Edit, Origin, Recipe, parse_effects, settings_of
from lib_copier.steps.training import METRICS
from lib_copier.study.axes import read_axes
from lib_copier.study.question import Question
from lib_copier.study.running import run
from lib_copier.study.score import MEASURED
from lib_copier.study.study import Study
from tests.cluster.test_on_ray import ROOT, soon_given_up, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

_FEW: dict[str, Any] = {
    **{f"{group}.steps": 3 for group in ("copier", "edit_lora")},
    **{f"{group}.rank": 4 for group in ("copier", "edit_lora")},
    **{f"{group}.warmup_steps": 0 for group in ("copier", "edit_lora")},
    **{f"{group}.find_rate": False for group in ("copier", "edit_lora")},
    **{"copier.copied_psnr": None, "calibrate.gain": 1.0, "edit.accept_faint": True},
    **{f"{group}.{count}": 1 for group in ("check", "sweep") for count in ("pairs", "steps")},
    **{"sweep.weight_min": -1.0, "sweep.weight_max": 1.0, "sweep.weight_step": 1.0},
}


def asked(folder: Path, checkpoint: Path, **axes: list[Any]) -> Study:
    """A study of one origin and one edit, of a few small steps."""
    small = {"prompt": "a house", "width": 64, "height": 64, "steps": 2, "accept_copier": True}
    base = Recipe((Origin("one", settings_of(small)),), (Edit("edit", parse_effects("outline")),))
    base = base.with_settings({"project.checkpoint": str(checkpoint), "project.name": "asked", **_FEW})
    told = [{"address": name.replace("__", "."), "values": values} for name, values in axes.items()]
    return Study.create(folder, Question(base, read_axes(told, base)))


def made(study: Study) -> dict[str, Any]:
    """Every file in the store but loss curves, which tell the hour: SHA-256, by keys of all inputs."""
    return {
        key: {name: entry for name, entry in manifest["files"].items() if name != METRICS}
        for key, manifest in study.store.manifests()
    }


def events(study: Study) -> list[dict[str, Any]]:
    """Of all runs."""
    found = sorted(study.folders.log.glob("*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def test_the_command_goes_on_after_its_kill_and_makes_what_is_made_here(
    tmp_path, on_ray, nodes, checkpoint
) -> None:
    axes: dict[str, list[Any]] = {
        "origins__one__seed": [1, 2],
        "edits__edit__effects": ["outline", "contrast"],
    }
    here, there = (asked(tmp_path / name, checkpoint, **axes) for name in ("here", "there"))
    run(here)
    half = len(here.store.manifests()) // 2
    on_ray.close_places()
    argv = [sys.executable, "-m", "lib_copier", "study", "run", str(there.folder), "--on", nodes.address]
    quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL}
    first = subprocess.Popen(argv, env=soon_given_up(), **quiet)
    assert wait_for(lambda: len(there.store.manifests()) > half, 300)
    first.kill()
    assert first.wait() == -9
    assert wait_for(lambda: not nodes.left() and not nodes.children(), 60)
    subprocess.run(argv, check=True, **quiet)
    assert made(there) == made(here)
    assert {outcome.state for outcome in there.recorded().values()} == {MEASURED}
    told = events(there)
    done = Counter(event["key"] for event in told if event["event"] == "step_done")
    assert set(done.values()) == {1}, "no step is committed twice"
    assert any("runs on node" in event.get("text", "") for event in told)


def test_real_models_give_on_nodes_what_they_give_here(tmp_path, on_ray, nodes, monkeypatch) -> None:
    # Of another number of threads sums round differently, here as there.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("COPIER_LORA_PYTHON")
    size = dataclasses.replace(TINY["sd1"], channels=(32, 64), depths=(1, 0))
    tiny = random_checkpoint(tmp_path / "tiny.safetensors", SD1, size=size)
    here, there = (asked(tmp_path / name, tiny, copier__seed=[0, 1]) for name in ("here", "there"))
    run(here)
    # Places that begin anew have the script's new words.
    on_ray.close_places()
    script = nodes.folder / "python"
    played = script.read_text()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    try:
        outcomes = run(there, elsewhere=on_ray)
    finally:
        on_ray.close_places()
        script.write_text(played)
    assert {outcome.state for outcome in outcomes.values()} == {MEASURED}
    assert made(there) == made(here)
    sizes = [path.stat().st_size for path in there.store.folder.rglob("lora.safetensors")]
    assert max(sizes) > 10_000, "no stand-in's"
    devices = [{key: one.get("device") for key, one in study.store.manifests()} for study in (here, there)]
    assert devices[0] == devices[1]
    of_models = {key.partition("-")[0] for key, device in devices[0].items() if device == "CPU"}
    assert {"origin", "copier", "check", "survival", "edit_lora", "sweep"} <= of_models
