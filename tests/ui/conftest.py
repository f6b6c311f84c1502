"""A wizard over a temporary folder, asked as a browser asks it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_copier.graph.queue import Queue
from lib_copier.graph.status import DONE, Inspector, StepStatus, judged
from lib_copier.graph.step import Step
from lib_copier.graph.store import Artifact
from lib_copier.host.standalone import StandaloneHost
from lib_copier.recipe.model import Recipe
from lib_copier.ui.door import Door
from lib_copier.ui.picture import PictureRoutes
from tests.ui.browsing import browser
from tests.ui.servers import free_port, python_for, serve_arguments, serving

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A file that looks like a checkpoint; nothing here opens it."""
    path = tmp_path / "models" / "base.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def host(tmp_path: Path, checkpoint: Path) -> StandaloneHost:
    """The standalone host with one checkpoint."""
    return StandaloneHost(tmp_path / "data", [checkpoint.parent], tmp_path / "loras")


@pytest.fixture
def door(host: StandaloneHost, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The door of a page; jobs are queued, but no worker takes them."""
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    return Door(host, PictureRoutes("./file=", host.data_dir()))


@pytest.fixture
def ask(door: Door) -> Ask:
    """Send an act with its view and details; the answer as the browser reads it."""

    def send(act: str, view: Mapping[str, Any] | None = None, **details: Any) -> dict[str, Any]:
        return json.loads(door.answer(json.dumps({"act": act, "view": view or {}, **details})))

    return send


@pytest.fixture
def view(ask: Ask, checkpoint: Path) -> dict[str, Any]:
    """A project made by the form, and where the browser then stands."""
    return make_project(ask, checkpoint)["view"]


def make_project(ask: Ask, checkpoint: Path, **changes: Any) -> dict[str, Any]:
    """Send the new-project form."""
    values = {
        "name": "lines",
        "checkpoint": str(checkpoint),
        "effect": "outline",
        "preset": "auto",
        "prompt": "a red circle",
        "method": "copier",
    }
    return ask("create_project", values={**values, **changes})


@pytest.fixture
def miss(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have a step been made with a result, which its goal judges; all others stay as they are."""

    def put(step_id: str, **result: Any) -> None:
        looked = Inspector.look

        def look(inspector: Inspector, step: Step) -> StepStatus:
            status = looked(inspector, step)
            if step.id == step_id:
                made = Artifact("key", Path(), {"result": result, "files": {}})
                inspector.found[step.id] = status = judged(StepStatus(step, DONE, artifact=made))
            return status

        monkeypatch.setattr(Inspector, "look", look)

    return put


@pytest.fixture
def png() -> bytes:
    """A small picture as a file's bytes."""
    from lib_copier.image.files import encoded

    return encoded(Image.linear_gradient("L").resize((128, 96)).convert("RGB"), "PNG")


@pytest.fixture
def recipe(door, view):
    """The project's recipe as it is on disk now."""

    def read_it(name: str = "lines") -> Recipe:
        desk = door.wizard().workshop.desk(name)
        assert desk is not None
        return desk.recipe

    return read_it


def jobs(door):
    return door.wizard().workshop.queue.jobs()


@pytest.fixture(scope="module")
def browsing() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def chromium(browsing: Any) -> Iterator[Any]:
    """The browser; what a test opened is closed after it, or it would go on asking beside the next."""
    yield browsing
    for context in browsing.contexts:
        context.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, small enough to train in seconds."""
    from lib_copier.model_file.families import SD1
    from lib_copier.models.tiny import TINY, random_checkpoint

    size = dataclasses.replace(TINY["sd1"], channels=(32, 64), depths=(1, 0))
    return random_checkpoint(tmp_path_factory.mktemp("models") / "tiny.safetensors", SD1, size=size)


@pytest.fixture
def address(tmp_path: Path, tiny: Path) -> Iterator[str]:
    """The page on its own."""
    port = free_port()
    with serving(python_for("newest"), serve_arguments(port, tmp_path / "data", tiny), port=port) as found:
        yield found
