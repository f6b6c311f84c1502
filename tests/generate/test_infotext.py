"""The infotext reads as the WebUI writes it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lib_copier import __version__
from lib_copier.generate.infotext import infotext, save_png
from lib_copier.generate.request import LoraUse, Request

LINE = LoraUse(Path("loras/line.safetensors"), 0.5)


def test_all_of_it():
    request = Request(
        prompt="a cat",
        negative_prompt="blue",
        seed=3,
        steps=12,
        sampler="DPM++ 2M Karras",
        cfg_scale=7.0,
        clip_skip=2,
        loras=(LINE, LoraUse(Path("flat.safetensors"), -1.0, 0.0), LoraUse(Path("off.safetensors"), 0.0)),
    )
    hashes = {use.path: f"{number}23456789abcdef" for number, use in enumerate(request.loras)}
    assert infotext(request, Path("models/demo.safetensors"), "f" * 64, hashes) == (
        "a cat <lora:line:0.5> <lora:flat:0:-1>\n"
        "Negative prompt: blue\n"
        "Steps: 12, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 3, Size: 512x512, "
        "Model hash: ffffffffff, Model: demo, Clip skip: 2, "
        f'Lora hashes: "line: 023456789abc, flat: 123456789abc", Version: Copier LoRA {__version__}'
    )


def test_what_is_not_there_is_left_out():
    text = infotext(Request(sampler="DDIM"), Path("m.safetensors"), "0" * 64, {})
    assert text.startswith("\nSteps: 20, Sampler: DDIM, CFG scale")
    assert (
        "Negative" not in text and "Clip skip" not in text and "Lora" not in text.replace("Copier LoRA", "")
    )


def test_a_png_carries_it_in_any_script(tmp_path):
    path = tmp_path / "a.png"
    save_png(Image.new("RGB", (8, 8)), path, "猫\nSteps: 1")
    with Image.open(path) as found:
        assert found.text["parameters"] == "猫\nSteps: 1"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
