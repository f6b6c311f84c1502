"""Lines of children: our events, progress bars, and everything else."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.engines.advice import advice_for, ending
from lib_copier.engines.listening import split_lines
from lib_copier.engines.progress import event_of


def test_a_bar_of_sd_scripts() -> None:
    line = "steps:  10%|█         | 307/3072 [01:02<09:20,  4.93it/s, avr_loss=0.0123]"
    event = event_of(line)
    assert event["step"] == 307 and event["total"] == 3072 and event["loss"] == 0.0123
    assert event["eta"] == 560 and event["s_per_step"] == pytest.approx(1 / 4.93)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("steps:   0%|          | 0/4096 [00:00<?, ?it/s]", {"step": 0, "total": 4096}),
        (
            "steps: 100%|██████████| 2/2 [1:00:03<00:00,  3.5s/it, avr_loss=nan]",
            {"step": 2, "s_per_step": 3.5},
        ),
        ("caching latents:  50%|█████     | 1/2 [00:01<00:01,  1.2it/s]", {"bar": "caching latents"}),
        ("100%|██████████| 5/5 [00:00<00:00, 12.0it/s]", {"step": 5}),
        ('{"event": "sample", "path": "x.png"}', {"event": "sample"}),
        ("accelerator device: cuda\n", {"event": "device", "kind": "CUDA"}),
    ],
)
def test_other_bars(line, expected) -> None:
    assert expected.items() <= event_of(line).items()


@pytest.mark.parametrize("line", ["", "loading model", "50% done", "{broken", "[1, 2]", "x%|y| 1/2"])
def test_plain_lines_are_no_events(line) -> None:
    assert event_of(line) is None


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet='0123456789%|/[]<>:,.its{}"e ?', max_size=80))
def test_no_line_breaks_the_reader(line) -> None:
    event_of(line)


def test_carriage_returns_end_lines() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as out, os.fdopen(reader, "rb") as stream:
        out.write(b"a\rb\r\nc\n\nd")
        out.close()
        assert list(split_lines(stream)) == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "SIGKILL"), (137, "SIGKILL"), (1, "exit code 1"), (143, "SIGTERM"), (3, "code 3")],
)
def test_endings_in_words(code, words) -> None:
    assert words in ending(code)
    assert advice_for(code, [])
