"""Dataset folders and their TOML file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_copier.engines.sd_scripts.dataset import dataset_of, picture_size, training_length
from lib_copier.errors import InputError
from lib_copier.settings.buckets import bucket_of
from lib_copier.settings.training import Picture, TrainTask


@pytest.mark.parametrize(("steps", "epochs"), [(3072, 6), (4096, 8), (5120, 10), (512, 1)])
def test_the_memos_numbers_are_512_repeats_times_epochs(steps: int, epochs: int) -> None:
    length = training_length(steps, 1, 1)
    assert (length.repeats, length.epochs) == (512, epochs)
    assert length.arguments == ["--max_train_epochs", str(epochs)]


def test_other_numbers_are_given_as_steps() -> None:
    assert training_length(900, 1, 1).arguments == ["--max_train_steps", "900"]
    assert training_length(4, 1, 1).repeats == 4


@given(st.integers(1, 20_000), st.integers(1, 5), st.integers(1, 8))
def test_every_length_gives_the_steps_in_full_batches(steps: int, pictures: int, batch_size: int) -> None:
    length = training_length(steps, pictures, batch_size)
    assert length.repeats % batch_size == 0
    steps_an_epoch = length.repeats // batch_size * pictures
    if length.epochs is not None:
        assert steps_an_epoch * length.epochs == steps
    else:
        assert length.steps == steps


def test_each_picture_is_a_dataset_of_its_own_size(task: TrainTask, tmp_path: Path) -> None:
    tomllib = pytest.importorskip("tomllib")
    other = tmp_path / 'quote" and \\ back.png'
    Image.new("RGB", (64, 72)).save(other)
    mask = tmp_path / "mask.png"
    Image.new("L", (64, 72)).save(mask)
    pictures = (*task.pictures, Picture(other, "two\nlines", mask))
    dataset = dataset_of(
        dataclasses.replace(task, pictures=pictures, steps=1024, keep_tokens=1), tmp_path / "作業", 512
    )
    written = dict(dataset.files)
    config = tomllib.loads(written[dataset.config])
    assert config["general"] == {"caption_extension": ".txt", "shuffle_caption": True, "keep_tokens": 1}
    first, second = config["datasets"]
    assert (first["resolution"], second["resolution"]) == ([128, 96], [64, 72])
    assert (dataset.width, dataset.height) == (128, 96)
    assert first["subsets"][0]["num_repeats"] == 512
    homes = [Path(found["subsets"][0]["image_dir"]) for found in (first, second)]
    assert [source for source, target in dataset.copies if target.parent in homes] == [
        task.pictures[0].path,
        other,
    ]
    assert written[homes[0] / "picture.txt"] == "1girl, solo\n"
    assert written[homes[1] / "picture.txt"] == "two lines\n"
    assert "conditioning_data_dir" not in first["subsets"][0]
    masks = Path(second["subsets"][0]["conditioning_data_dir"])
    # sd-scripts pairs them by name.
    assert (mask, masks / "picture.png") in dataset.copies
    assert dataset.has_masks


def test_a_folder_s_photos_go_into_buckets(task: TrainTask, tmp_path: Path) -> None:
    tomllib = pytest.importorskip("tomllib")
    photo = tmp_path / "photo.png"
    Image.new("RGB", (4000, 3000)).save(photo)
    changed = dataclasses.replace(task, pictures=(Picture(photo),), bucketed=True)
    dataset = dataset_of(changed, tmp_path, 512)
    (found,) = tomllib.loads(dict(dataset.files)[dataset.config])["datasets"]
    assert found["resolution"] == [512, 512]
    assert found["enable_bucket"] and found["bucket_no_upscale"]
    assert (dataset.width, dataset.height) == bucket_of((4000, 3000), 512)[0] == (512, 384)


def test_an_empty_caption_is_still_a_line(task: TrainTask, tmp_path: Path) -> None:
    pictures = (Picture(task.pictures[0].path, ""),)
    dataset = dataset_of(dataclasses.replace(task, pictures=pictures), tmp_path, 512)
    assert "\n" in [text for path, text in dataset.files if path.suffix == ".txt"]


def test_unusable_pictures_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    small = tmp_path / "small.png"
    Image.new("RGB", (63, 200)).save(small)
    for path in (broken, small, tmp_path / "absent.png"):
        with pytest.raises(InputError, match=path.name):
            picture_size(path)
