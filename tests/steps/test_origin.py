"""The origin: printed by the base model, or a file cropped to what the model can print."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_copier.steps.plan import plan
from lib_copier.txt2img.pictures import SETTINGS
from tests.steps.looks import flags_of, others, words_of


def test_the_base_model_prints_it(recipe, tmp_path):
    made = recipe(project__vae="own.vae.pt", base__loras=("style.safetensors:0.25",), project__device="cpu")
    made = made.with_origin(made.origins[0].replaced(prompt="-a cat", seed=5, width=320))
    words = words_of(plan(made).step("origin/one"), tmp_path)
    flags = flags_of(words)
    assert words[0] == "lib_copier.generate"
    assert flags["--checkpoint"] == ["checkpoint.0"] and flags["--vae"] == ["vae.0"]
    assert flags["--lora"] == ["base_lora.0:0.25"] and flags["--device"] == ["cpu"]
    assert {"--prompt=-a cat", "--seed=5", "--width=320"} <= set(flags), "a prompt is no flag"
    assert {word.partition("=")[0][2:] for word in flags if "=" in word} == set(SETTINGS)
    assert flags["--out"] == ["out/picture.png"]


def test_a_file_is_taken_in_without_a_child(project, tmp_path):
    Image.new("RGB", (131, 96), "red").save(tmp_path / "a.png")
    made = project().set({"origins.one.source": "file", "origins.one.file": str(tmp_path / "a.png")})
    step = made.plan().step("origin/one")
    (given,) = step.inputs
    assert not given.is_outside and step.params == ()
    made.run(["origin/one"])
    with Image.open(made.file("origin/one")) as taken:
        assert taken.size == (128, 96) and taken.getpixel((5, 5)) == (255, 0, 0)
    assert made.artifact("origin/one").result["width"] == 128 and made.command("origin/one") == ""


@pytest.mark.parametrize(("name", "value"), [("seed", 2), ("steps", 5), ("sampler", "DDIM"), ("width", 64)])
def test_every_setting_of_the_picture_makes_it_anew(recipe, name, value):
    before = recipe()
    after = before.with_origin(before.origins[0].replaced(**{name: value}))
    assert others(plan(before), plan(after)) == {"origin/one"}


def test_a_prompt_is_caption_too(recipe):
    before = recipe()
    after = before.with_origin(before.origins[0].replaced(prompt="another"))
    assert others(plan(before), plan(after)) == {"origin/one", "caption/one"}
