"""The child process: faults before work, and the real chain on a tiny checkpoint."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from lib_copier import edge
from lib_copier.border import events
from lib_copier.measure import find_rule
from lib_copier.measure.__main__ import JOBS, main
from lib_copier.measure.rule import Rule


def run(tmp_path, capsys, job) -> tuple[int, list[dict]]:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    code = edge.guard(main, [str(path)], emits_events=True)
    lines = [events.parse(line) for line in capsys.readouterr().out.splitlines()]
    return code, [line for line in lines if line]


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"job": "guess"}, "names none of the jobs"),
        ({"job": "sweep"}, "7 faults"),
        (
            {
                "job": "sweep",
                "checkpoint": "/none.safetensors",
                "lora": "/none2.safetensors",
                "weights": [],
                "chain": [{"name": "outlin"}],
                "pairs": [],
                "prompts": [],
                "output": "x",
            },
            "6 faults",
        ),
        (
            {
                "job": "pairs",
                "pictures": ["a.png"],
                "origins": ["b.png"],
                "edited": ["c.png"],
                "chain": [],
                "names": ["one"],
                "output": "x",
            },
            "one for each of",
        ),
        (
            {"job": "report", "output": "x", "edits": [{"method": "A", "name": "a", "sweep": "/none"}]},
            "/none",
        ),
    ],
)
def test_bad_jobs_name_all_faults(tmp_path, capsys, job, words):
    code, found = run(tmp_path, capsys, job)
    assert code == 2 and found[-1]["event"] == "error" and words in found[-1]["what"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny SD1-layout checkpoint with random weights."""
    from lib_copier.model_file.families import SD1
    from lib_copier.models.tiny import random_checkpoint

    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    random_checkpoint(path, SD1)
    return path


def test_survival_and_check_on_a_real_model(tmp_path, capsys, scene, checkpoint):
    scene(1, 64).save(tmp_path / "o.png")
    scene(1, 64).rotate(180).save(tmp_path / "e.png")
    common = {"checkpoint": str(checkpoint), "device": "cpu", "output": str(tmp_path / "out")}
    job = {
        **common,
        "job": "vae-survival",
        "origin": str(tmp_path / "o.png"),
        "edited": str(tmp_path / "e.png"),
    }
    code, found = run(tmp_path, capsys, job)
    assert code == 0 and found[-1]["verdict"] in ("good", "weakened", "faint")
    told = {key: value for key, value in found[-1].items() if key not in ("event", "seconds")}
    assert json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8")) == told
    assert found[-1]["seconds"] > 0, "told, but in no file: equal work leaves equal files"
    job = {
        **common,
        "job": "copier-check",
        "origin": str(tmp_path / "o.png"),
        "base_loras": [],
        "prompts": [{"prompt": "a circle", "seed": 3}, {"prompt": "a square", "seed": 4}],
        "sampling": {"steps": 2, "cfg_scale": 3.0},
    }
    code, found = run(tmp_path, capsys, job)
    assert code == 0, found
    told = [one["event"] for one in found]
    assert told[:3] == ["loading", "device", "progress"] and told[-1] == "done"
    assert found[1]["kind"] == "CPU"
    assert len(found[-1]["pictures"]) == 2 and (tmp_path / "out" / "proof.png").is_file()


def test_a_job_does_not_let_its_threads_spin_without_end(tmp_path, monkeypatch):
    """Without this a sweep beside another program took ten times as long."""
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    seen = {}
    monkeypatch.setitem(JOBS, "report", lambda job: seen.update(os.environ) or {})
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"job": "report", "edits": [], "output": str(tmp_path)}), encoding="utf-8")
    assert main([str(job)]) == 0
    assert seen["OMP_WAIT_POLICY"] == "PASSIVE" and int(seen["OMP_NUM_THREADS"]) >= 1


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_by_a_true_rule_drawn_pictures_are_retouched_and_by_no_other(
    tmp_path, capsys, scene, straight_rule, share
):
    darker = straight_rule(-0.5 * np.eye(3), share)
    darker.write(tmp_path / "rule.safetensors")
    for number in range(6):
        scene(number, 64).save(tmp_path / f"{number}.png")
    for number in (4, 5):
        darker.apply(scene(number, 64)).save(tmp_path / f"{number}-edited.png")
    files = [str(tmp_path / f"{number}.png") for number in range(6)]
    job = {
        "job": "pairs",
        "pictures": files[:4],
        "chain": [],
        "rule": str(tmp_path / "rule.safetensors"),
        "origins": files[4:],
        "edited": [str(tmp_path / f"{number}-edited.png") for number in (4, 5)],
        "names": ["00", "01", "02", "03", "one", "two"],
        "output": str(tmp_path),
    }
    is_true = share == 1.0
    for apart in (False, True):
        code, found = run(tmp_path, capsys, {**job, "apart": apart})
        own = [] if apart and is_true else ["one", "two"]
        assert code == 0 and found[-1]["kept"] == [*(["00", "01", "02", "03"] if is_true else []), *own]
        assert bool(found[-1]["notes"]) is (apart and is_true)
    before, after = (np.asarray(Image.open(tmp_path / name)) for name in ("0.png", "00.png"))
    assert bool(after.mean() < 0.6 * before.mean()) is is_true


def test_the_job_of_a_rule_writes_it_and_shows_what_it_makes(tmp_path, capsys, scene, monkeypatch):
    for name, value in (("_STEPS", 60), ("_STEPS_TO_COMPARE", 30), ("_BATCH", 256)):
        monkeypatch.setattr(find_rule, name, value)
    pairs = []
    for number in range(3):
        picture = scene(number, 64)
        picture.save(tmp_path / f"{number}.png")
        Image.eval(picture, lambda level: level // 2).save(tmp_path / f"{number}-edited.png")
        names = {"origin": f"{number}.png", "edited": f"{number}-edited.png"}
        pairs.append({role: str(tmp_path / name) for role, name in names.items()})
    code, found = run(tmp_path, capsys, {"job": "rule", "pairs": pairs, "output": str(tmp_path)})
    assert code == 0 and found[-1]["is_true"] and found[-1]["cues"] == ["colour"]
    assert {"event": "device", "kind": "CPU"}.items() <= found[0].items()
    halved = Rule.read(tmp_path / "rule.safetensors").apply(Image.new("RGB", (32, 32), (200, 100, 60)))
    assert np.abs(np.asarray(halved)[0, 0].astype(int) - [100, 50, 30]).max() < 12
    assert Image.open(tmp_path / "sheet.png").width > 3 * 64
