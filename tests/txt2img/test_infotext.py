"""The infotext is written as the WebUI writes it, and read back, from the WebUI or from anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier import __version__
from lib_copier.txt2img.infotext import read_infotext, write_infotext
from lib_copier.txt2img.pictures import SAMPLERS, SETTINGS, LoraUse, PictureRequest

LINE = LoraUse(Path("loras/line.safetensors"), 0.5)


def test_all_of_it():
    request = PictureRequest(
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
    assert write_infotext(request, "demo", "f" * 64, hashes) == (
        "a cat <lora:line:0.5> <lora:flat:0:-1>\n"
        "Negative prompt: blue\n"
        "Steps: 12, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 3, Size: 512x512, "
        "Model hash: ffffffffff, Model: demo, Clip skip: 2, "
        f'Lora hashes: "line: 023456789abc, flat: 123456789abc", Version: Copier LoRA {__version__}'
    )


def test_what_is_not_there_is_left_out():
    text = write_infotext(PictureRequest(sampler="DDIM"), "m", "0" * 64, {})
    assert text.startswith("\nSteps: 20, Sampler: DDIM, CFG scale")
    assert "Negative" not in text and "Clip skip" not in text and "Lora hashes" not in text


words = st.text(
    st.characters(exclude_characters="\r\n<", exclude_categories=["Cs", "Zl", "Zp", "Cc"]), max_size=40
)
requests = st.builds(
    PictureRequest,
    prompt=words,
    negative_prompt=words,
    seed=st.integers(0, 2**53 - 1),
    width=st.integers(8, 512).map(lambda n: 8 * n),
    height=st.integers(8, 512).map(lambda n: 8 * n),
    steps=st.integers(1, 500),
    cfg_scale=st.integers(0, 400).map(lambda n: n / 4),
    clip_skip=st.integers(1, 12),
    sampler=st.sampled_from(list(SAMPLERS)),
)


@given(requests, st.text(max_size=20))
@settings(deadline=None)
def test_what_was_written_is_read(request, model):
    request = replace(
        request,
        prompt=request.prompt.strip().removeprefix("Negative prompt:").strip(),
        negative_prompt=request.negative_prompt.strip(),
    )
    assert not list(request.faults()) or request.prompt_faults()
    found = read_infotext(write_infotext(request, model.replace("\n", " "), "0" * 64, {}))
    assert PictureRequest(**found) == request
    assert set(found) <= set(SETTINGS)


@pytest.mark.parametrize(
    ("line", "sampler"),
    [
        ("Sampler: DPM++ 2M Karras", "DPM++ 2M Karras"),
        ("Sampler: DPM++ 2M, Schedule type: Karras", "DPM++ 2M Karras"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "DPM++ 2M Karras"),
        ("Sampler: Euler a, Schedule type: Automatic", "Euler a"),
        ("Sampler: Euler a", "Euler a"),
        ("Sampler: UniPC", None),
    ],
)
def test_samplers_of_every_version_of_the_webui(line, sampler):
    assert read_infotext(f"a\nSteps: 20, {line}, CFG scale: 7, Seed: 1").get("sampler") == sampler


@pytest.mark.parametrize("text", ["", "only a prompt, of: words", "a\nSteps: 20"])
def test_a_text_without_settings_is_a_prompt(text):
    assert read_infotext(text) == ({"prompt": text} if text else {})


def test_settings_out_of_range_are_left_out():
    text = f"a\nSteps: 0, Seed: {'9' * 5000}, CFG scale: x, Size: 1x99999, Clip skip: 2"
    assert read_infotext(text) == {"prompt": "a", "clip_skip": 2}


@pytest.mark.parametrize("unit", ["a ", "a: ", '"', 'a: "\\', "a:" * 9 + ", ", "\n"])
def test_long_infotexts_are_read(unit):
    read_infotext(unit * (100_000 // len(unit)))
