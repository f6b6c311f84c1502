"""States: an interrupted training ends as an unbroken one, and a longer one goes on from a shorter."""

from __future__ import annotations

import dataclasses
import json

import pytest

from lib_copier.errors import CancelledError
from lib_copier.train import loop
from lib_copier.train.state import run_digest
from tests.train.outcomes import StopAt, are_equal


@pytest.mark.parametrize("changes", [{}, {"train_text_encoder": True, "lr_scheduler": "cosine"}])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(make_config, run, tmp_path, changes):
    changes |= {"batch_size": 2, "shuffle_caption": True}
    whole = make_config(output=str(tmp_path / "whole.safetensors"), **changes)
    run(whole)
    broken = make_config(output=str(tmp_path / "broken.safetensors"), **changes)
    with pytest.raises(CancelledError):
        run(broken, StopAt(4, "pause"))
    assert not broken.output.exists()
    notes: list[str] = []
    run(broken, log=notes.append)
    assert "Going on after step 4." in notes
    assert are_equal(whole.output, broken.output)
    steps = [
        json.loads(line)["step"] for line in (broken.work_dir / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert not list(broken.work_dir.glob("state*"))


def test_a_run_killed_between_states_goes_on_from_the_last(make_config, run, tmp_path, monkeypatch):
    whole = make_config(output=str(tmp_path / "whole.safetensors"))
    run(whole)
    killed = make_config(output=str(tmp_path / "killed.safetensors"), state_every=2)
    monkeypatch.setattr(loop, "_set_learning_rate", _die_after(5, loop._set_learning_rate))
    with pytest.raises(KeyboardInterrupt):
        run(killed)
    monkeypatch.undo()
    (killed.work_dir / "state.pt").write_bytes(b"torn")
    notes: list[str] = []
    run(killed, log=notes.append)
    assert notes[0].startswith("state.pt cannot be read") and notes[1] == "Going on after step 2."
    assert are_equal(whole.output, killed.output)


def _die_after(calls: int, real):
    left = [calls]

    def fake(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*args)

    return fake


def test_a_state_of_other_settings_is_not_used(make_config, run):
    with pytest.raises(CancelledError):
        run(make_config(), StopAt(3, "pause"))
    notes: list[str] = []
    run(make_config(learning_rate=2e-3), log=notes.append)
    assert any("other settings" in note for note in notes)


@pytest.mark.parametrize("changes", [{}, {"train_text_encoder": True, "batch_size": 2}])
def test_a_longer_training_goes_on_from_a_shorter_one_bit_for_bit(make_config, run, tmp_path, changes):
    """N steps, then M more, are N + M steps at once."""
    changes |= {"shuffle_caption": True, "keep_state": True}
    at_once = make_config(output=str(tmp_path / "at-once.safetensors"), steps=9, **changes)
    at_once = dataclasses.replace(at_once, work_dir=tmp_path / "other")
    run(at_once)
    shorter, longer = (make_config(steps=steps, **changes) for steps in (4, 9))
    run(shorter)
    notes: list[str] = []
    run(longer, log=notes.append)
    assert notes == ["Going on after step 4."]
    assert are_equal(at_once.output, longer.output)
    steps = [
        json.loads(line)["step"] for line in (longer.work_dir / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "changes",
    [
        {"lr_scheduler": "cosine"},
        # The warm-up of the shorter one was cut to its steps: the longer one's rate rises more slowly.
        {"warmup_steps": 9},
    ],
)
def test_what_depends_on_the_length_starts_over(make_config, run, tmp_path, changes):
    at_once = make_config(output=str(tmp_path / "at-once.safetensors"), steps=9, **changes)
    at_once = dataclasses.replace(at_once, work_dir=tmp_path / "other")
    run(at_once)
    for steps in (4, 9):
        config = make_config(steps=steps, keep_state=True, **changes)
        notes: list[str] = []
        run(config, log=notes.append)
    assert not any(note.startswith("Going on") for note in notes)
    assert are_equal(at_once.output, config.output)


def test_a_training_as_long_as_the_kept_one_is_done_anew(make_config, run):
    config = make_config(keep_state=True)
    run(config)
    notes: list[str] = []
    assert run(config, log=notes.append).steps == 6
    assert "as long as this" in notes[0]


def test_without_the_wish_no_state_is_kept(make_config, run):
    config = make_config(state_every=2)
    run(config)
    assert not list(config.work_dir.glob("state*"))


def test_the_bytes_of_the_origin_decide_too(make_config, write_picture, tmp_path):
    edited, origin = (write_picture(tmp_path / f"{seed}.png", seed) for seed in (1, 2))
    config = make_config(pictures=[{"path": str(edited), "origin": str(origin)}])
    before = run_digest(config)
    write_picture(origin, 3)
    assert run_digest(config) != before


def test_a_twin_ends_where_its_copier_did_at_its_rates(make_config, run, tmp_path):
    """The copier was stopped after 4 of 9 steps: so is its twin, with the same falling rate."""
    copier = make_config(output=str(tmp_path / "copier.safetensors"), steps=9, lr_scheduler="cosine")
    run(copier, StopAt(4, "save"))
    twin = make_config(
        output=str(tmp_path / "twin.safetensors"), steps=9, lr_scheduler="cosine", stop_after=4
    )
    assert run(twin).steps == 4
    assert are_equal(copier.output, twin.output)
