"""The command: pictures named and made as asked, and errors with the right exit code."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from lib_copier.edge import guard
from lib_copier.errors import InputError
from lib_copier.generate.__main__ import main


def test_prompts_times_seeds(checkpoint_path, lora_path, tmp_path, capsys):
    out = tmp_path / "grid.png"
    size = ["--width", "64", "--height", "64", "--steps", "1"]
    what = ["--prompt", "a", "--prompt", "b", "--seed", "1", "2", "--lora", f"{lora_path()}:0.5:0"]
    code = main(["--checkpoint", str(checkpoint_path()), *what, *size, "--device", "cpu", "--out", str(out)])
    assert code == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "done"
    assert [path.rsplit("-", 1)[1] for path in events[-1]["paths"]] == [
        "001.png",
        "002.png",
        "003.png",
        "004.png",
    ]
    with Image.open(events[-1]["paths"][3]) as picture:
        text = picture.text["parameters"]
    assert text.startswith(f"b <lora:{lora_path().stem}:0:0.5>") and "Seed: 2" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "No checkpoint"),
        (["--checkpoint", "none.safetensors"], "no such file"),
        (["--checkpoint", "x", "--width", "3"], "width 3"),
        (["--checkpoint", "x", "--out", "a.jpg"], "not a .png"),
        (["--checkpoint", "x", "--out", "nowhere/a.png"], "no such folder"),
        (["--checkpoint", "x", "--device", "tpu"], "device"),
        (["--checkpoint", "x", "--precision", "fp8", "--device", "cpu"], "precision"),
    ],
)
def test_bad_input_is_refused_with_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        main(arguments)
    assert guard(main, arguments, emits_events=True) == 2
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["exit_code"] == 2
