"""Kept prints: the same pictures, whole calls, within a budget, and never those of another file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lib_copier.generate.generator import Generator
from lib_copier.generate.prints import PRINTS, KeptPrints
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.txt2img.pictures import LoraUse, PictureRequest

BASE = PictureRequest(prompt="a red cat", width=64, height=64, steps=2, seed=7, sampler="Euler")


@pytest.fixture
def keeping() -> Iterator[None]:
    PRINTS.keep(1 << 20)
    yield
    PRINTS.keep(0)
    PRINTS._calls.clear()


class Passes:
    """Counts the passes of the U-Net."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


def pixels(pictures) -> list[bytes]:
    return [picture.tobytes() for picture in pictures]


def test_a_call_is_printed_once_whoever_asks(checkpoint_path, keeping) -> None:
    passes = Passes()
    first = Generator(load_checkpoint(checkpoint_path())).generate([BASE], on_step=passes)
    before, wanted = passes.count, pixels(first)
    first[0].paste(0, (0, 0, 64, 64))
    again = Generator(load_checkpoint(checkpoint_path()))
    assert pixels(again.generate([BASE], on_step=passes)) == wanted and passes.count == before
    # Another list is another batch, whose pictures may differ in their last bits.
    again.generate([BASE, replace(BASE, seed=8)], on_step=passes)
    assert passes.count == 2 * before


def test_another_file_of_the_same_name_is_printed_anew(checkpoint_path, lora_path, keeping, tmp_path) -> None:
    model, lora = tmp_path / "model.safetensors", tmp_path / "lora.safetensors"
    shutil.copy(checkpoint_path(), model)
    shutil.copy(lora_path(seed=1), lora)
    request = replace(BASE, loras=(LoraUse(lora, 1.0),))
    passes, generator = Passes(), Generator(load_checkpoint(model))
    (first,) = generator.generate([request], on_step=passes)
    shutil.copy(lora_path(seed=2), lora)
    (second,) = generator.generate([request], on_step=passes)
    assert passes.count == 4 and pixels([first]) != pixels([second])
    shutil.copy(checkpoint_path(), model)
    Generator(load_checkpoint(model)).generate([request], on_step=passes)
    assert passes.count == 6


def test_the_oldest_go_and_what_has_no_key_is_not_kept() -> None:
    made = []

    def take(prints: KeptPrints, key: tuple) -> None:
        def make() -> list[Image.Image]:
            made.append(key)
            return [Image.fromarray(np.zeros((8, 8, 3), np.uint8))]

        prints.take(key, make)

    prints = KeptPrints()
    take(prints, ("a",))
    take(prints, ("a",))
    prints.keep(2 * 8 * 8 * 3)
    for key in (("a",), ("b",), ("a",), ("c",), ("a",), ("b",), (), ()):
        take(prints, key)
    assert made == [("a",), ("a",), ("a",), ("b",), ("c",), ("b",), (), ()]
