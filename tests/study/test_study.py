"""A study's folder: what goes in, what is refused, what can be read again."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from lib_copier.errors import FaultsError, InputError
from lib_copier.study.axes import read_axes
from lib_copier.study.question import Question
from lib_copier.study.study import Study


def test_a_study_is_read_again_as_it_was_made(study):
    asked = study(reduction=3, origins__one__seed=[-1, 5], copier__rank=["8", "16"], sweep__pairs=8)
    again = Study.open(asked.folder)
    assert again.question == asked.question
    (drawn,), (five,) = (choice.changes for choice in again.question.axes[0].choices)
    assert drawn[1] >= 0 and five[1] == 5, "a random seed is drawn once"
    assert again.question.axes[1].choices[0].changes == (("copier.rank", 8),)
    assert len(again.variants) == 4


def test_files_that_axes_name_come_into_the_study(study, tmp_path):
    paths = []
    for name in ("red", "blue"):
        paths.append(str(tmp_path / f"{name}.png"))
        Image.new("RGB", (64, 64), name).save(paths[-1])
    asked = study(origin__source=["file"], origin__file=paths)
    inside = [asked.recipe(one).origin("one").get("file") for one in asked.variants]
    assert all(file.startswith("pictures/") and (asked.folder / file).is_file() for file in inside)
    assert [file.split("/")[1].split("-")[0] for file in inside] == ["red", "blue"]


def test_two_studies_do_not_share_a_folder(study):
    study("asked", copier__rank=[4])
    with pytest.raises(InputError, match="there already and not empty"):
        study("asked", copier__rank=[8])


def test_a_variant_that_cannot_be_run_is_told_by_name_and_nothing_stays(study, tmp_path):
    with pytest.raises(FaultsError, match=r"there is no such edit.*\(2-nothing\)"):
        study(edits__outline__effects=["outline", "nothing"])
    assert not (tmp_path / "asked").exists()
    with pytest.raises(FaultsError, match=r"nowhere.safetensors does not exist"):
        study(project__checkpoint=["nowhere.safetensors"])
    with pytest.raises(FaultsError, match="sweep.enabled is off"):
        study(copier__rank=[4], sweep__enabled=False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 2}, "is no study of this version"),
        ({"more": 1}, "is no study of this version"),
        ({"is_crossed": 1}, "is unreadable"),
        ({"reduction": True}, "is unreadable"),
        ({"reduction": 1}, "One variant in 1 cannot go on"),
        ({"axes": []}, "no list of 1 to"),
        ({"recipe": {"copier": {"rank": 0}}}, "copier.rank is a whole number"),
        ({"rungs": []}, "no list of 1 to"),
    ],
)
def test_a_study_file_that_another_hand_wrote_is_refused_in_a_line(study, change, told):
    path = study(copier__rank=[4]).folder / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=told) as caught:
        Study.open(path.parent)
    assert "\n" not in str(caught.value)


def test_a_record_that_another_hand_wrote_is_no_outcome(study):
    asked = study(copier__rank=[4, 8])
    (asked.folder / "outcomes.json").write_text('{"1": {"state": "measured"}, "2": 5, "9": {}}')
    assert {outcome.state for outcome in asked.recorded().values()} == {"waiting"}


def test_a_variant_is_found_by_name_and_by_number(study):
    asked = study(copier__rank=[4, 8])
    assert asked.variant("2") == asked.variant("2-rank-8") == asked.variants[1]
    with pytest.raises(InputError, match="no variant '3'"):
        asked.variant("3")


def test_a_folder_without_a_study_is_told(tmp_path, recipe):
    with pytest.raises(InputError, match="holds no study"):
        Study.open(tmp_path)
    base = recipe()
    axes = read_axes([{"address": "copier.rank", "values": [4]}], base)
    with pytest.raises(InputError, match="The name of the project"):
        Study.create(tmp_path / "a:b", Question(base, axes))
