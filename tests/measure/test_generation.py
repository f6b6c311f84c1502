"""A job's pictures: what they have in common, what each has, and every fault before a model is loaded."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_copier.errors import FaultsError
from lib_copier.measure.generation import job_pictures, with_lora

ORIGIN = Image.new("RGB", (128, 64))


def job(**values):
    return {"checkpoint": "none.safetensors", "prompts": [{"prompt": "a", "seed": 1}], **values}


def test_the_size_is_the_origins_unless_told():
    (made,) = job_pictures(job(sampling={"steps": 3}), ORIGIN)
    assert (made.width, made.height, made.steps, made.seed) == (128, 64, 3, 1)
    (made,) = job_pictures(job(sampling={"width": 64}), ORIGIN)
    assert (made.width, made.height) == (64, 64)


def test_a_lora_at_no_weight_stays_in(tmp_path):
    (made,) = job_pictures(job(), ORIGIN)
    assert [(use.path, use.weight) for use in with_lora(made, tmp_path, 0.0).loras] == [(tmp_path, 0.0)]


def test_faults_come_before_the_model(tmp_path):
    wrong = job(
        prompts=[{"prompt": "a <lora:x:1>", "seed": -1}, {"prompt": "a AND b", "seed": 2}],
        sampling={"steps": 0},
        base_loras=[{"path": str(tmp_path / "none.safetensors")}],
    )
    with pytest.raises(FaultsError) as caught:
        job_pictures(wrong, ORIGIN)
    text = str(caught.value)
    assert all(word in text for word in ("not known here", "seed -1", "AND", "steps 0", "no such file"))
