"""The command: pictures named and made as asked, and errors with the right exit code."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from lib_copier.edge import guard
from lib_copier.errors import InputError
from lib_copier.generate.__main__ import main

SMALL = ("--width=64", "--height=64", "--steps=1", "--device=cpu")


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


def test_loras_of_a_prompt_act_and_are_told(checkpoint_path, lora_path, tmp_path, capsys):
    """A tag whose file is found acts as the flag does; one without a file stops the command."""
    common = ["--checkpoint", str(checkpoint_path()), *SMALL]
    tag = f"<lora:{lora_path().stem}:0.5>"
    folder = ["--lora_dir", str(lora_path().parent)]
    main([*common, *folder, "--prompt", f"a cat {tag}", "--out", str(tmp_path / "tag.png")])
    main([*common, "--prompt", "a cat", "--lora", f"{lora_path()}:0.5", "--out", str(tmp_path / "flag.png")])
    with Image.open(tmp_path / "tag.png") as one, Image.open(tmp_path / "flag.png") as other:
        assert one.tobytes() == other.tobytes()
        assert one.text["parameters"].startswith(f"a cat {tag}\n") and one.text == other.text
    with pytest.raises(InputError, match="not known here"):
        main([*common, "--prompt", f"a cat {tag}", "--out", str(tmp_path / "none.png")])


def test_a_random_seed_is_told(checkpoint_path, tmp_path, capsys):
    common = ["--checkpoint", str(checkpoint_path()), *SMALL]
    main([*common, "--seed", "-1", "-1", "--out", str(tmp_path / "a.png")])
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    for path, seed in zip(done["paths"], done["seeds"], strict=True):
        with Image.open(path) as picture:
            assert seed >= 0 and f"Seed: {seed}," in picture.text["parameters"]
    assert done["seeds"][0] != done["seeds"][1]


def test_a_lora_that_does_not_fit_is_told_first(checkpoint_path, lora_path, monkeypatch, tmp_path):
    def load(*arguments):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("lib_copier.generate.session.load_checkpoint", load)
    common = ["--checkpoint", str(checkpoint_path()), "--out", str(tmp_path / "a.png"), *SMALL]
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"{}")
    for path in (lora_path("sdxl"), broken):
        with pytest.raises(InputError):
            main([*common, "--lora", str(path)])


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
