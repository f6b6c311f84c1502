"""The child process: jobs in, one event out, faults in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lib_copier import edge
from lib_copier.border import events
from lib_copier.image.__main__ import main
from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.image.pair import Shift, correct_shift

ROOT = Path(__file__).parents[2]


def run(tmp_path, capsys, job) -> tuple[int, dict]:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    code = edge.guard(main, [str(path)], emits_events=True)
    return code, events.parse(capsys.readouterr().out.splitlines()[-1])


def test_edit_writes_the_chain_s_picture(tmp_path, capsys, scene):
    source = tmp_path / "元 画像.png"
    scene(1, 100).save(source)
    output = tmp_path / "out" / "edited.png"
    chain = [{"name": "flat", "strength": 0.8}, {"name": "outline", "strength": 1.0, "params": {"width": 8}}]
    code, event = run(
        tmp_path, capsys, {"job": "edit", "picture": str(source), "chain": chain, "output": str(output)}
    )
    assert code == 0 and event["event"] == "done" and (event["width"], event["height"]) == (96, 96)
    cropped = scene(1, 100).crop((2, 2, 98, 98))
    expected = apply_chain(cropped, tuple(EffectUse.from_json(link) for link in chain))
    assert Image.open(output).tobytes() == expected.tobytes()
    assert "Cropped" in event["notes"][0] and 0 < event["changed"] <= 1


@pytest.mark.parametrize("align", [False, True])
def test_pair_measures_and_corrects(tmp_path, capsys, scene, align):
    scene(2).save(tmp_path / "o.png")
    correct_shift(scene(2), Shift(-3.0, 2.0, is_certain=True)).save(tmp_path / "e.png")
    job = {"job": "pair", "origin": str(tmp_path / "o.png"), "edited": str(tmp_path / "e.png")}
    code, event = run(tmp_path, capsys, {**job, "output": str(tmp_path / "out"), "align": align})
    assert code == 0 and event["aligned"] is align
    assert abs(event["shift"]["x"] - 3) < 0.1 and abs(event["shift"]["y"] + 2) < 0.1
    assert ("moved back" if align else "lies 3.6") in event["notes"][0]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"edited.png", "heat.png", "mask.png"}


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"job": "paint"}, "names none of the jobs"),
        ({"job": "edit"}, "'picture' is missing; 'chain' is missing; 'output' is missing"),
        ({"job": "edit", "picture": "/none.png", "chain": [], "output": "x"}, "not there"),
        ({"job": "edit", "picture": "x", "chain": {"name": "flat"}, "output": "x"}, "must be a list"),
        ({"job": "edit", "picture": "x", "chain": [{"name": "a"}, {"name": "b"}], "output": "x"}, "2 faults"),
    ],
)
def test_bad_jobs_are_refused(tmp_path, capsys, job, words):
    code, event = run(tmp_path, capsys, job)
    assert code == 2 and event["event"] == "error" and words in event["what"]


def test_as_a_process_and_without_torch(tmp_path, scene):
    scene(1).save(tmp_path / "a.png")
    job = {"job": "edit", "picture": str(tmp_path / "a.png"), "chain": [], "output": str(tmp_path / "b.png")}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lib_copier.image", str(tmp_path / "job.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0 and events.parse(done.stdout.splitlines()[-1])["event"] == "done"
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "skimage", "scipy", "diffusers"}
    assert Image.open(tmp_path / "b.png").tobytes() == scene(1).tobytes()
