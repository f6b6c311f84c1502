"""Origins: a picture that is there counts, whoever made it; the same one is taken once."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from lib_copier.host.base import Checkpoint, Generated, HostProgress, ReceivedPicture
from lib_copier.image.files import encoded
from lib_copier.txt2img.infotext import write_infotext
from lib_copier.txt2img.pictures import PictureRequest
from lib_copier.ui.texts import LANGUAGES, Texts
from tests.ui.test_tasks import wait_for

SETTINGS = "Steps: 7, Sampler: Euler, CFG scale: 4.5, Seed: 99, Size: 64x64"
MADE_WITH = f"a red circle\nNegative prompt: blurry\n{SETTINGS}"


class WebUI:
    """What the standalone host lacks of a WebUI: it makes a picture of each seed."""

    def __init__(self, host, monkeypatch) -> None:
        self.asked: list[PictureRequest] = []
        self.sent = ReceivedPicture(picture(1), MADE_WITH)
        monkeypatch.setattr(host, "info", replace(host.info, is_webui=True, can_generate=True))
        monkeypatch.setattr(host, "samplers", lambda: ["Euler a", "Euler", "DPM++ 2M"])
        monkeypatch.setattr(host, "schedulers", lambda: ["Automatic", "Karras"])
        monkeypatch.setattr(host, "generate", self.generate)
        monkeypatch.setattr(host, "receive", lambda gallery, record: self.sent)

    def generate(self, requests):
        self.asked += requests
        (request,) = requests
        ours = replace(request, sampler="DPM++ 2M Karras") if request.scheduler == "Karras" else request
        infotext = write_infotext(ours, "base", "0" * 64, {})
        return [Generated(picture(request.seed % 200), infotext, request.seed)]


@pytest.fixture
def webui(host, monkeypatch):
    return WebUI(host, monkeypatch)


@pytest.fixture
def place(view):
    return {**view, "panel": "origin"}


@pytest.fixture
def desk(door):
    return lambda: door.wizard().workshop.desk("lines")


def picture(shade: int, size: int = 64) -> Image.Image:
    return Image.new("RGB", (size, size), (shade, 40, 40))


def upload(ask, place, image, infotext="") -> dict:
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    if infotext:
        info.add_text("parameters", infotext)
    data = base64.b64encode(encoded(image, "PNG", pnginfo=info)).decode()
    return ask("upload_origin", place, file={"name": "x.png", "data": data})


def made(ask, place, desk, **details) -> str:
    """Let the WebUI make the picture; the panel once it has."""
    answer = ask("make_picture", place, **details)
    assert answer["notice"] is None
    for _ in range(200):
        answer = ask("poll", place)
        if "cl-progress" not in answer["html"]["panel"]:
            break
        time.sleep(0.02)
    return html.unescape(answer["html"]["panel"])


def test_how_far_the_webui_has_come_is_shown(ask, place, desk, webui, host, monkeypatch):
    ask("set", place, key="origin.source", target="origin", value="webui")
    goes_on = threading.Event()
    work = webui.generate
    monkeypatch.setattr(host, "generate", lambda requests: goes_on.wait(20) and work(requests))
    monkeypatch.setattr(host, "progress", lambda: HostProgress(0.25, picture(9, 16)))
    try:
        shown = ask("make_picture", place)["html"]
        panel, missing = shown["panel"], Texts("en")("project.incomplete")
        assert "25%" in panel and 'value="0.2500"' in panel
        assert "cl-is-running" in panel and "25%" in shown["rail"], "its state says so everywhere"
        assert 'data-act="interrupt"' in shown["bar"] and missing not in shown["bar"] + shown["rail"]
        (shown,) = re.findall(r'src="./file=(previews/underway-[^"?]+)', panel)
        assert (host.data_dir() / shown).is_file()
    finally:
        goes_on.set()


def test_a_picture_that_comes_while_the_page_is_drawn_is_drawn_by_the_next_look(
    ask, place, door, desk, webui, monkeypatch
):
    ask("set", place, key="origin.source", target="origin", value="webui")
    made(ask, place, desk)
    # The act and the page after it open the project once each.
    asked = iter([True, True])
    monkeypatch.setattr(door.wizard().workshop.tasks, "is_open", lambda key: next(asked, False))
    answer = ask("poll", place)
    panel = answer["html"]["panel"]
    assert answer["active"], "the browser looks again"
    assert "cl-progress" in panel and "cl-is-running" in panel
    assert "Make another one" not in panel and "cl-is-done" not in panel


def states(desk) -> dict[str, str]:
    kinds = ("origin/", "caption/")
    return {step: status.state for step, status in desk().states.items() if step.startswith(kinds)}


def test_a_picture_of_the_webui_is_done_and_seen_and_keeps_its_settings(ask, place, desk, webui):
    ask("set", place, key="origin.source", target="origin", value="webui")
    ask("set", place, key="origin.sampler", target="origin", value="DPM++ 2M Karras")
    panel = made(ask, place, desk)
    assert (webui.asked[0].sampler, webui.asked[0].scheduler) == ("DPM++ 2M", "Karras")
    assert states(desk) == {"origin/first": "done", "caption/first": "done"}
    assert "Make another one (new seed)" in panel and "cl-is-done" in panel
    for name in ("width", "steps", "cfg_scale", "seed", "negative_prompt", "sampler"):
        assert f'data-set="origin.{name}"' in panel
    assert panel.count('data-set="origin.sampler"') == 1 and panel.count("More settings") == 1
    assert "Made with: Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras" in panel
    edit = ask("go", {**place, "panel": "edit"})["html"]["panel"]
    assert "cl-compare" in edit, "the edit sees the picture"


def test_other_settings_ask_for_another_picture_and_another_one_has_another_seed(ask, place, desk, webui):
    ask("set", place, key="origin.source", target="origin", value="webui")
    made(ask, place, desk)
    ask("set", place, key="origin.steps", target="origin", value="9")
    assert "Make the picture" in ask("go", place)["html"]["panel"]
    assert "Make another one" in made(ask, place, desk)
    made(ask, place, desk, seed="new")
    assert [request.steps for request in webui.asked] == [28, 9, 9]
    assert webui.asked[1].seed == webui.asked[0].seed != webui.asked[2].seed
    assert desk().recipe.origins[0].get("seed") == webui.asked[2].seed


def test_our_engine_makes_it_by_the_same_button(ask, place, door, desk):
    assert 'data-act="make_picture"' in ask("go", place)["html"]["panel"]
    ask("make_picture", place)
    (job,) = door.wizard().workshop.queue.jobs()
    assert job.argv[-4:] == ("--until", "origin/first", "--until", "caption/first")


def test_an_uploaded_picture_is_done_at_once_and_tells_how_it_was_made(ask, place, desk):
    assert upload(ask, place, picture(3), MADE_WITH)["notice"]["kind"] == "ok"
    assert states(desk) == {"origin/first": "done", "caption/first": "done"}
    origin = desk().recipe.origins[0]
    told = {name: origin.get(name) for name in ("steps", "seed", "cfg_scale", "negative_prompt", "source")}
    assert told == {"steps": 7, "seed": 99, "cfg_scale": 4.5, "negative_prompt": "blurry", "source": "file"}
    panel = html.unescape(ask("go", place)["html"]["panel"])
    assert "Made with: Steps: 7, Sampler: Euler" in panel and "make_picture" not in panel
    ask("set", place, key="origin.prompt", target="origin", value="a blue circle")
    assert states(desk) == {"origin/first": "done", "caption/first": "done"}, "its caption follows at once"


def test_a_picture_that_comes_settles_what_failed_before(ask, place, door):
    tasks, key = door.wizard().workshop.tasks, door.wizard().workshop.desk("lines").queue_key
    tasks.start(key, lambda: 1 / 0)
    wait_for(lambda: not tasks.is_open(key))
    assert ask("poll", place)["failure"]
    assert upload(ask, place, picture(5))["failure"] == ""


def test_a_picture_counts_while_something_else_runs(ask, place, desk, monkeypatch):
    monkeypatch.setattr("lib_copier.steps.view.running", lambda note: SimpleNamespace(steps=(), keys={}))
    upload(ask, place, picture(4))
    assert states(desk)["origin/first"] == "missing", "the run that is under way has its locks"
    assert "cl-compare" in ask("go", {**place, "panel": "edit"})["html"]["panel"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sent_picture_is_taken_once_and_says_so(door, place, desk, webui, language, monkeypatch):
    words = Texts(language)
    monkeypatch.setattr(door, "texts", words)
    monkeypatch.setattr(door, "_wizard", None)
    send = lambda: json.loads(door.receive("lines", [], ""))  # noqa: E731
    assert send()["notice"]["text"] == words("said.received", name="first")
    again = send()
    assert again["notice"] == {"kind": "ok", "text": words("said.received_again", name="first")}
    assert again["view"]["origin"] == "first" and len(desk().recipe.origins) == 1
    webui.sent = ReceivedPicture(picture(2), f"a cat <lora:thick:1>\n{SETTINGS}")
    more = send()
    told = words("said.received_more", name="origin-2", count=2)
    assert more["notice"]["text"] == f"{told} {words('origin.with_lora', tags='<lora:thick:1>')}"
    assert more["view"]["origin"] == "origin-2" and states(desk)["origin/origin-2"] == "done"
    assert words("origin.with_lora", tags="<lora:thick:1>") in html.unescape(more["html"]["panel"])


def test_removing_an_origin_asks_by_its_name_and_stays_near(ask, place):
    for _ in range(2):
        ask("add_origin", place)
    panel = ask("go", {**place, "origin": "origin-2"})["html"]["panel"]
    assert "Take the origin “origin-2” out" in panel
    left = ask("remove_origin", {**place, "origin": "origin-2"})["view"]
    assert left["origin"] == "origin-3"
    assert ask("remove_origin", left)["view"]["origin"] == "first"


def test_who_makes_it_is_said(ask, place, webui, host, monkeypatch, tmp_path):
    other = Checkpoint(tmp_path / "other.safetensors", "other [abc]")
    monkeypatch.setattr(host, "current_checkpoint", lambda: other)
    assert "own engine makes it" in html.unescape(ask("go", place)["html"]["panel"])
    ask("set", place, key="origin.source", target="origin", value="webui")
    panel = html.unescape(ask("go", place)["html"]["panel"])
    assert "checkpoint that is loaded there: other [abc]" in panel
    assert "The project uses another checkpoint" in panel


def test_without_a_webui_nobody_is_offered_one(ask, place):
    assert 'data-value="webui"' not in ask("go", place)["html"]["panel"]
    ask("set", place, key="origin.source", target="origin", value="webui")
    assert ask("make_picture", place)["notice"]["kind"] == "error"


def test_a_sampler_that_the_webui_lacks_is_named(ask, place, webui):
    ask("set", place, key="origin.source", target="origin", value="webui")
    ask("set", place, key="origin.sampler", target="origin", value="DDIM")
    assert "no sampler DDIM" in ask("make_picture", place)["notice"]["text"]
