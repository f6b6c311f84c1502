"""Training pictures: any file becomes pixels or a clear refusal, and what was cropped is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.settings.training import Picture
from lib_copier.train.picture import load_picture


def load(path, **fields):
    notes: list[str] = []
    return load_picture(Picture(path, **fields), log=notes.append), notes


def test_pixels_are_in_minus_one_to_one(tmp_path):
    path = tmp_path / "a.png"
    values = np.zeros((64, 72, 3), np.uint8)
    values[:32] = 255
    Image.fromarray(values).save(path)
    found, notes = load(path)
    assert found.pixels.shape == (1, 3, 64, 72) and found.size == (72, 64)
    assert found.pixels[0, :, 0, 0].tolist() == [1.0] * 3 and found.pixels[0, :, 63, 0].tolist() == [-1.0] * 3
    assert notes == []


def test_sizes_that_do_not_divide_are_cropped_and_told(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (101, 70)).save(path)
    found, notes = load(path)
    assert found.size == (96, 64)
    assert len(notes) == 1 and notes[0].startswith("a.png: Cropped from 101x70 to 96x64")


def test_what_was_changed_on_reading_is_told(tmp_path):
    path = tmp_path / "a.gif"
    frames = [Image.new("RGB", (64, 64), shade) for shade in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert any("animated" in note for note in load(path)[1])


@pytest.mark.parametrize(("size", "words"), [((40, 64), "too small"), ((7, 7), "too small")])
def test_tiny_pictures_are_refused_by_name(tmp_path, size, words):
    path = tmp_path / "tiny.png"
    Image.new("RGB", size).save(path)
    with pytest.raises(InputError, match=f"tiny.png.*{words}"):
        load(path)


def test_what_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("hello")
    with pytest.raises(InputError, match="not a picture"):
        load(path)


def test_a_mask_is_averaged_over_each_latent(tmp_path):
    Image.new("RGB", (70, 64)).save(tmp_path / "a.png")
    mask = np.zeros((64, 70), np.uint8)
    mask[:, 3:11] = 255  # Three columns are cropped on the left: latents 0 and 1 hold it whole.
    mask[:, 15:19] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    found, _ = load(tmp_path / "a.png", mask=tmp_path / "m.png")
    assert found.mask.shape == (1, 1, 8, 8)
    assert torch.allclose(found.mask[0, 0, 0, :3], torch.tensor([1.0, 0.5, 0.0]))


def test_a_mask_of_another_size_is_refused(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    Image.new("L", (64, 72), 255).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="64x72.*64x64"):
        load(tmp_path / "a.png", mask=tmp_path / "m.png")


def test_an_origin_of_another_size_is_refused(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    Image.new("RGB", (72, 64)).save(tmp_path / "o.png")
    with pytest.raises(InputError, match="72x64.*64x64"):
        load(tmp_path / "a.png", origin=tmp_path / "o.png")


def test_a_black_mask_is_refused(tmp_path):
    for name in ("a.png", "m.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    with pytest.raises(InputError, match="black all over"):
        load(tmp_path / "a.png", mask=tmp_path / "m.png")
