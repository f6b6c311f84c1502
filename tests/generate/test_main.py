"""The command: pictures named and made as asked, and errors with the right exit code."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from lib_copier.edge import guard
from lib_copier.errors import InputError
from lib_copier.generate.__main__ import main
from lib_copier.model_file.header import read_header

SMALL = ("--width=64", "--height=64", "--steps=1", "--device=cpu")


def test_prompts_times_seeds(checkpoint_path, lora_path, tmp_path, capsys):
    out = tmp_path / "grid.png"
    size = ["--width", "64", "--height", "64", "--steps", "1"]
    what = ["--prompt", "a", "--prompt", "b", "--seed", "1", "2", "--lora", f"{lora_path()}:0.5:0"]
    code = main(["--checkpoint", str(checkpoint_path()), *what, *size, "--device", "cpu", "--out", str(out)])
    assert code == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "done"
    assert {"event": "device", "kind": "CPU"} in events
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


def test_a_folder_of_peft_acts_as_its_file_does(checkpoint_path, lora_path, tmp_path, capsys):
    """Its strength stands in the configuration beside the tensors; it goes by the folder's name."""
    folder = tmp_path / "My Slider"
    folder.mkdir()
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    size = read_header(checkpoint_path()).shapes[
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    ]
    generator = np.random.default_rng(0)
    down, up = generator.normal(size=(2, size[1])), generator.normal(size=(size[0], 2))
    for name, keys, file in (
        ("adapter_model", ("base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"), folder),
        ("My Slider", ("lora_unet_{}.lora_down.weight", "lora_unet_{}.lora_up.weight"), tmp_path),
    ):
        called = layer if file is folder else layer.replace(".", "_")
        scale = 1.0 if file is folder else 6.0
        tensors = {keys[0].format(called): down, keys[1].format(called): up * scale}
        save_file(
            {key: value.astype(np.float32) for key, value in tensors.items()}, file / f"{name}.safetensors"
        )
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 12}')
    common = ["--checkpoint", str(checkpoint_path()), *SMALL, "--prompt", "a cat"]
    main([*common, "--lora", f"{folder}:0.5", "--out", str(tmp_path / "folder.png")])
    main([*common, "--lora", f"{folder}.safetensors:0.5", "--out", str(tmp_path / "file.png")])
    main([*common, "--out", str(tmp_path / "none.png")])
    with Image.open(tmp_path / "folder.png") as one, Image.open(tmp_path / "file.png") as other:
        assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1
        assert one.text["parameters"].startswith("a cat <lora:My Slider:0.5>\n")
    with Image.open(tmp_path / "folder.png") as one, Image.open(tmp_path / "none.png") as none:
        assert one.tobytes() != none.tobytes()
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="folder without adapter_model"):
        main([*common, "--lora", str(folder)])


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


def test_requests_come_from_a_file_too(checkpoint_path, lora_path, tmp_path, capsys):
    """Pictures that differ in more than prompt and seed, such as one LoRA's weights, in one batch."""
    one, file = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}, tmp_path / "requests.json"
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    requests = [one, {**one, "seed": 3, "loras": [f"{lora_path()}:0.5"]}]
    common = ["--checkpoint", str(checkpoint_path()), "--device", "cpu", "--requests", str(file)]
    file.write_text(json.dumps({"requests": requests, "paths": paths}))
    assert main(common) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["paths"] == paths and told["seeds"] == [0, 3]
    with Image.open(paths[1]) as picture:
        assert picture.size == (64, 64) and "Seed: 3" in picture.text["parameters"]


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ("[]", "no lists"),
        ({"requests": [], "paths": []}, "at least one"),
        ({"requests": ["x"], "paths": ["x"]}, "at least one"),
        ({"requests": [{}], "paths": []}, "as many paths"),
        ({"requests": [{}], "paths": [1]}, "as many paths"),
        ({"requests": [{"promt": "x"}], "paths": ["x.png"]}, "promt"),
        ({"requests": [{"width": 65}], "paths": ["x.png"]}, "64 or 72"),
        ({"requests": [{"width": 64}], "paths": ["no/such/a.png"]}, "no such folder"),
    ],
)
def test_a_file_of_bad_requests_is_refused_by_what_is_wrong(checkpoint_path, tmp_path, told, match):
    file = tmp_path / "requests.json"
    file.write_text(told if isinstance(told, str) else json.dumps(told))
    with pytest.raises(InputError, match=match):
        main(["--checkpoint", str(checkpoint_path()), "--device", "cpu", "--requests", str(file)])
