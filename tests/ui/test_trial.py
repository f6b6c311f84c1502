"""Trying a prompt: the nearest weight comes first, two LoRAs stand side by side, bad input is refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from lib_copier.engines.listening import Watch
from lib_copier.engines.process import Outcome
from lib_copier.engines.workers import Workers
from lib_copier.errors import ChildError
from lib_copier.ui import printer, trials
from lib_copier.ui.acts import trial as acts
from lib_copier.ui.panels import trial as panel
from lib_copier.ui.texts import LANGUAGES, Texts
from tests.ui.leaks import leaks

FORM = {
    "prompt": "a blue house",
    "negative_prompt": "",
    "seed": "7",
    "width": "64",
    "height": "64",
    "lora": "publish/outline",
    "beside": "",
    "checkpoint": "",
}


class Prints:
    """Stands for the worker: writes the picture that it is told, when it may."""

    def __init__(self) -> None:
        self.weights: list[tuple[str, float]] = []
        self.words: list[list[str]] = []
        self.may = threading.Semaphore(0)
        self.failure = ""
        self.seconds = 9.0
        self.batches: list[int] = []
        self.watches: list[Watch] = []

    def run(self, workers: object, command, watch) -> Outcome:
        self.watches.append(watch)
        self.may.acquire(timeout=20)
        if self.failure:
            raise ChildError(self.failure, "Mend it.")
        words = list(command.argv)
        self.words.append(words)
        if "--requests" in words:
            told = json.loads(Path(words[words.index("--requests") + 1]).read_text())
            made = [(one["loras"], path) for one, path in zip(told["requests"], told["paths"], strict=True)]
        else:
            uses = [words[at + 1].split(":") for at, word in enumerate(words) if word == "--lora"]
            made = [([{"path": use[0], "weight": use[1]} for use in uses], words[words.index("--out") + 1])]
        self.batches.append(len(made))
        for loras, path in made:
            named = (Path(loras[0]["path"]).stem, float(loras[0]["weight"])) if loras else ("", 0.0)
            self.weights.append(named)
            Image.new("RGB", (8, 8)).save(path)
        return Outcome(seconds=self.seconds)


@pytest.fixture
def prints(monkeypatch) -> Prints:
    made = Prints()
    monkeypatch.setattr(Workers, "run", lambda workers, command, watch: made.run(workers, command, watch))
    return made


@pytest.fixture
def loras(tmp_path, monkeypatch) -> dict[str, Path]:
    """What the project has made so far."""
    found = {
        name: tmp_path / f"{name.replace('/', '-')}.safetensors" for name in ("publish/outline", "copier/one")
    }
    for path in found.values():
        path.write_bytes(b"weights")
    for module in (acts, panel, trials):
        monkeypatch.setattr(module, "choices", lambda page: found)
    return found


@pytest.fixture
def at(view) -> dict:
    return {**view, "panel": "preview"}


@pytest.fixture
def settled(door) -> Callable[[], None]:
    def wait() -> None:
        end = time.monotonic() + 20
        while door.wizard().workshop.printer._is_open:
            assert time.monotonic() < end
            time.sleep(0.01)

    return wait


def test_without_a_lora_there_is_nothing_to_try(ask, at) -> None:
    assert "try_prompt" not in ask("go", at)["html"]["panel"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_loras_have_names_for_people(ask, at, door, loras, language, monkeypatch) -> None:
    words = Texts(language)
    monkeypatch.setattr(door, "texts", words)
    monkeypatch.setattr(door, "_wizard", None)
    panel = ask("go", at)["html"]["panel"]
    assert not leaks(panel, language)
    finished = words("said.of", step=words("try.finished"), names="outline")
    for name in (finished, words.step("copier/one")):
        assert panel.count(f">{name}</option>") == 2


def test_the_nearest_weight_comes_first_and_the_slider_moves_on(ask, at, prints, loras, settled) -> None:
    answer = ask("try_prompt", at, values=FORM)
    assert answer["notice"] is None and answer["active"] and answer["hurried"]
    ask("try_at", at, value="0")
    prints.may.release(9)
    settled()
    assert prints.weights[0] == ("publish-outline", 1.0)
    assert [weight for _, weight in prints.weights[1:]] == [-1.0, -0.5, 0.0, 0.5]
    answer = ask("go", at)
    assert not answer["active"] and not answer["hurried"]
    assert answer["html"]["panel"].count("try-") == 5
    assert "a blue house" in answer["html"]["panel"]
    ask("try_prompt", at, values=FORM)
    settled()
    assert len(prints.weights) == 5, "what was printed once is shown again"
    words = prints.words[0]
    assert "--seed=7" in words and "--width=64" in words and "--prompt=a blue house" in words


def test_where_a_picture_takes_moments_all_others_come_at_once(ask, at, prints, loras, settled) -> None:
    prints.seconds = 1.5
    prints.may.release(9)
    ask("try_prompt", at, values={**FORM, "beside": "copier/one"})
    settled()
    assert prints.batches == [1, 8] and len(set(prints.weights)) == 9
    assert prints.weights[0] == ("publish-outline", 1.0)
    ask("try_prompt", at, values={**FORM, "seed": "8"})
    settled()
    assert prints.batches == [1, 8, 1, 4], "another prompt's first picture comes alone again"


def test_two_loras_side_by_side_share_the_picture_without_either(ask, at, prints, loras, settled) -> None:
    prints.may.release(20)
    ask("try_prompt", at, values={**FORM, "beside": "copier/one"})
    settled()
    assert len(prints.weights) == 9 and [weight for _, weight in prints.weights].count(0.0) == 1
    html = ask("go", at)["html"]["panel"]
    assert html.count("<figcaption") >= 2 and "copier/one" in html


def test_another_prompt_takes_the_place_of_the_last(ask, at, prints, loras, settled) -> None:
    ask("try_prompt", at, values=FORM)
    ask("try_prompt", at, values={**FORM, "prompt": "a red cat"})
    prints.may.release(20)
    settled()
    others = [words for words in prints.words if "--prompt=a red cat" not in words]
    assert len(others) <= 1 and len(prints.words) == 5 + len(others)


def test_what_goes_wrong_is_told_once_and_ends_it(ask, at, prints, loras, settled) -> None:
    prints.failure = "Out of memory."
    prints.may.release(20)
    ask("try_prompt", at, values=FORM)
    settled()
    answer = ask("go", at)
    assert "Out of memory. Mend it." in answer["html"]["panel"] and not answer["active"]


def test_stopping_leaves_what_is_there(ask, at, prints, loras, settled) -> None:
    ask("try_prompt", at, values=FORM)
    ask("stop_try", at)
    prints.may.release(20)
    settled()
    assert len(prints.weights) <= 1


def test_a_picture_that_nobody_waits_for_may_take_what_a_new_worker_would(
    ask, at, prints, loras, settled, monkeypatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(printer, "time", SimpleNamespace(monotonic=lambda: now[0]))
    ask("try_prompt", at, values=FORM)
    end = time.monotonic() + 20
    while not prints.watches and time.monotonic() < end:
        time.sleep(0.01)
    told = []
    for wish in ("go", "stop_try"):
        ask(wish, at)
        for now[0] in (103.0, 107.0):
            told.append(prints.watches[0].wanted_stop())
    prints.may.release(20)
    settled()
    assert told == ["", "", "", "discard"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seed": "many"}, "seed"),
        ({"width": "65"}, "64 or 72"),
        ({"height": "0"}, "height"),
        ({"lora": "publish/none"}, "not there yet"),
        ({"lora": "../../x"}, "not there yet"),
        ({"lora": ""}, "no LoRA"),
        ({"checkpoint": "../secret.safetensors"}, "no such checkpoint"),
        ({"prompt": None}, "no usable prompt"),
        ({"prompt": "a <lora:unknown:1>"}, "unknown"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_printed(ask, at, prints, loras, changed, told) -> None:
    notice = ask("try_prompt", at, values={**FORM, **changed})["notice"]
    assert notice["kind"] == "error" and told in notice["text"]
    assert not prints.words


def test_a_prompt_goes_into_the_sweep_once_and_first(ask, at, loras, door) -> None:
    for _ in range(2):
        assert ask("use_prompt", at, values=FORM)["notice"]["kind"] == "ok"
    desk = door.wizard().workshop.desk(at["project"])
    prompts = desk.recipe.texts("sweep.prompts")
    assert prompts[0] == "a blue house" and prompts.count("a blue house") == 1 and len(prompts) > 1
    assert ask("use_prompt", at, values={**FORM, "prompt": " "})["notice"]["kind"] == "error"
