"""What suits the demo checkpoint."""

from __future__ import annotations

from pathlib import Path

from lib_copier.recipe import demo


def test_nothing_is_judged_by_what_it_was_trained_on() -> None:
    assert len(demo.PROMPTS) == len(set(demo.PROMPTS)) == 16
    assert not {demo.ORIGIN["prompt"], *demo.OTHER_PROMPTS} & set(demo.PROMPTS)


def test_the_checkpoint_it_names_is_there() -> None:
    root = Path(__file__).resolve().parents[2]
    assert (root / demo.CHECKPOINT).is_file()
    assert demo.is_demo(str(root / demo.CHECKPOINT))
    assert not demo.is_demo("another.safetensors")
