"""Requests from the command line and from JSON: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.errors import FaultsError, InputError
from lib_copier.txt2img.pictures import LoraUse, PictureRequest, check_requests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.safetensors", LoraUse(Path("a.safetensors"))),
        ("a.safetensors:0.5", LoraUse(Path("a.safetensors"), 0.5)),
        ("a.safetensors:-1:0", LoraUse(Path("a.safetensors"), -1.0, 0.0)),
        ("C:/x/a.safetensors:2", LoraUse(Path("C:/x/a.safetensors"), 2.0)),
        ("odd:name:1", LoraUse(Path("odd:name"), 1.0)),
    ],
)
def test_lora_texts(text, expected):
    assert LoraUse.parse(text) == expected


def test_no_file_is_refused():
    with pytest.raises(InputError, match="FILE:WEIGHT"):
        LoraUse.parse(":0.5")


def test_a_tag_names_both_weights_only_where_they_differ():
    assert LoraUse(Path("d/line.safetensors"), -0.5).tag == "<lora:line:-0.5>"
    assert LoraUse(Path("line.safetensors"), 1, 0).tag == "<lora:line:0:1>"


def test_text_weight_follows_the_weight_unless_told():
    assert LoraUse(Path("a"), 0.5).text_weight == 0.5
    assert LoraUse(Path("a"), 0.5, 0.0).text_weight == 0.0


def test_json_is_read_with_lora_texts_and_objects():
    request = PictureRequest.from_mapping(
        {"prompt": "a", "cfg_scale": 5, "loras": ["x:0.5", {"path": "y", "weight": 1, "te_weight": 0}]}
    )
    assert request.cfg_scale == 5.0
    assert request.loras == (LoraUse(Path("x"), 0.5), LoraUse(Path("y"), 1.0, 0.0))


def test_every_wrong_field_is_named():
    with pytest.raises(FaultsError) as caught:
        PictureRequest.from_mapping({"promt": "a", "steps": "20", "seed": 1.5, "width": True, "loras": [3]})
    assert len(caught.value.faults) == 5


def test_numbers_out_of_range_are_refused_together():
    wrong = PictureRequest(width=7, height=9000, steps=999, cfg_scale=float("nan"), clip_skip=0, seed=-1)
    assert len(list(wrong.faults())) == 6
    with pytest.raises(FaultsError, match="picture 1"):
        check_requests([wrong])
    assert list(PictureRequest().faults()) == []
