"""What the wizard's own server gives out: the page, the one door, and projects' pictures and LoRAs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from lib_copier.app.site import served_file, site
from lib_copier.engines.locate import root
from lib_copier.graph.queue import Queue
from lib_copier.host.standalone import StandaloneHost
from lib_copier.image.files import encoded
from lib_copier.ui.door import Door
from lib_copier.ui.picture import PictureRoutes

PICTURE = Image.new("RGB", (8, 8), "red")


@pytest.fixture
def host(tmp_path: Path) -> StandaloneHost:
    return StandaloneHost(tmp_path / "data", [], tmp_path / "loras")


@pytest.fixture
def client(host, monkeypatch):
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    return TestClient(site(Door(host, PictureRoutes("./file/", host.data_dir())), root()))


def place(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_page_its_script_and_style(client):
    assert 'data-route="./run/copier_lora"' in client.get("/").text
    assert client.get("/copier_lora.js").headers["content-type"].startswith("text/javascript")
    assert "#copier_lora" in client.get("/style.css").text


@pytest.mark.parametrize("route", ["/run/copier_lora", "/gradio_api/run/copier_lora"])
def test_the_door_is_asked(client, route):
    answer = client.post(route, json={"data": [json.dumps({"act": "go", "view": {}})]})
    assert "panel" in json.loads(answer.json()["data"][0])["html"]
    assert client.get(route).status_code == 405


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"data": []}', b'{"data": 7}', b"[" * 100_000, b"\xff"])
def test_what_is_no_request_is_refused(client, body):
    assert client.post("/run/copier_lora", content=body).status_code == 400


@pytest.mark.parametrize("text", [None, 7, [], {"act": "go"}, "[", '"\\ud800"', "1" * 400])
def test_what_no_page_would_send_is_answered_with_a_page(client, text):
    answer = json.loads(client.post("/run/copier_lora", json={"data": [text]}).json()["data"][0])
    assert answer["notice"]["kind"] == "error" and answer["html"]["panel"]


@pytest.mark.parametrize("name", ["projects/a/artifacts/k/o.png", "projects/a/work/o.png", "previews/o.png"])
@pytest.mark.parametrize(
    ("kind", "told"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_pictures_are_served_as_what_they_are(client, host, name, kind, told):
    place(host.data_dir(), name, encoded(PICTURE, kind))
    answer = client.get(f"/file/{name}")
    assert answer.status_code == 200 and answer.headers["content-type"] == told


def test_a_lora_is_a_download(client, host):
    place(host.data_dir(), "projects/a/artifacts/k/slider.safetensors", b"x")
    answer = client.get("/file/projects/a/artifacts/k/slider.safetensors")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize("content", [b"<script>alert(1)</script>", b"<svg onload='x()'/>", b"GIF89a", b""])
@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.png", "x.txt", "x"])
def test_what_is_no_picture_is_not_served(client, host, name, content):
    place(host.data_dir(), f"projects/a/artifacts/k/{name}", content)
    assert client.get(f"/file/projects/a/artifacts/k/{name}").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "projects/a/project.json",
        "projects/a/lock/running.png",
        "queue/x.png",
        "loras/x.png",
        "projects/a/artifacts/../x.png",
        "projects/a/artifacts/../../../../secret.png",
        "projects/a/artifacts/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.png",
        "projects/../projects/a/work/x.png",
        "/etc/passwd",
        "//etc/passwd",
        "C:/secret.png",
        "..\\secret.png",
        "projects/a/artifacts/x.png\0.txt",
        "previews/../queue/x.png",
        "previews/" + "x" * 5000,
    ],
)
def test_no_other_path_is_opened(host, tmp_path, name):
    png = encoded(PICTURE, "PNG")
    for inside in ("projects/a/project.json", "projects/a/lock/running.png", "queue/x.png", "loras/x.png",
                   "projects/a/x.png", "projects/a/pictures/x.png", "../secret.png"):  # fmt: skip
        place(host.data_dir(), inside, png)
    assert served_file(host.data_dir(), name) is None


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(host, tmp_path):
    secret = place(tmp_path, "secret/x.png", encoded(PICTURE, "PNG"))
    home = host.data_dir() / "projects" / "a"
    home.mkdir(parents=True)
    (home / "work").symlink_to(secret.parent)
    (home / "artifacts").mkdir()
    (home / "artifacts" / "x.png").symlink_to(secret)
    assert served_file(host.data_dir(), "projects/a/work/x.png") is None
    assert served_file(host.data_dir(), "projects/a/artifacts/x.png") is None


def test_pictures_are_linked_by_addresses_without_folders_of_this_machine(host):
    path = place(host.data_dir(), "projects/a b/work/ä?.png", encoded(PICTURE, "PNG"))
    address = PictureRoutes("./file/", host.data_dir()).url(path)
    assert address.startswith("./file/projects/a%20b/work/%C3%A4%3F.png?")
