"""What is published from a WebUI goes into its LoRA folder, and is listed."""

from __future__ import annotations

from dataclasses import replace

from tests.ui.conftest import make_project


def test_the_lora_folder_is_the_hosts_own(ask, view, recipe, host):
    ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert recipe().get("publish.folder") == str(host.lora_dirs()[0])
    ask("set", view, key="publish.folder", target="lora_folder", value=False)
    assert recipe().get("publish.folder") == ""


def test_a_slider_made_in_a_webui_goes_into_its_lora_folder(ask, host, checkpoint, recipe, monkeypatch):
    (host.lora_dirs()[0]).mkdir(parents=True, exist_ok=True)
    (host.lora_dirs()[0] / "mine-outline.safetensors").write_bytes(b"")
    monkeypatch.setattr(host, "info", replace(host.info, is_webui=True))
    make_project(ask, checkpoint, name="mine")
    assert recipe("mine").get("publish.folder") == str(host.lora_dirs()[0])
    assert recipe("mine").get("publish.name", recipe("mine").edits[0]) == "mine-outline-2"


def test_what_is_published_is_listed_by_the_host_before_the_page_says_so(ask, view, host, monkeypatch):
    """Wherever the browser stands when it happens; a host that fails at it takes nothing from the page."""
    told: list[str] = []

    def listed(stem: str) -> None:
        told.append(stem)
        raise RuntimeError("of another extension")

    monkeypatch.setattr(host, "list_lora", listed)
    ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert told == [], "there is no file yet"
    (host.lora_dirs()[0] / "lines-outline.safetensors").write_bytes(b"x")
    answer = ask("poll", {**view, "panel": "jobs"})
    assert told == ["lines-outline"]
    assert answer["notice"] is None


def test_a_name_that_another_lora_has_is_not_taken(ask, view, recipe, host):
    folder = host.lora_dirs()[0] / "others"
    folder.mkdir(parents=True)
    (folder / "Lines-outline.safetensors").write_bytes(b"")
    answer = ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert answer["notice"] is None
    assert recipe().get("publish.name", recipe().edits[0]) == "lines-outline-2"
