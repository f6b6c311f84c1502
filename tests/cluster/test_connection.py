"""The way to a cluster: addresses, and every refusal of Ray's as one line of ours."""

from __future__ import annotations

import socket
import sys
from types import ModuleType, SimpleNamespace

import pytest

from lib_copier.cluster.connection import (
    GoneError,
    LostError,
    connect,
    failures_named,
    load_ray,
    require_address,
)
from lib_copier.errors import CopierError, InputError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ray", "ray://127.0.0.1:10001"),
        ("ray://head", "ray://head:10001"),
        ("ray://10.0.0.5:123/", "ray://10.0.0.5:123"),
        ("ray://[fd00::2]:7", "ray://[fd00::2]:7"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert require_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "local", "rays", "ray://", "ray://a:0", "ray://a:99999", "ray://a b", "ray://a/?x"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="is no address of a cluster. Give ray, or ray://HOST:PORT."):
        require_address(text)


class RayError(Exception):
    """As Ray has it: the root of what becomes of tasks and actors."""


class RayTaskError(RayError):
    """A function raised something on a node."""


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A Ray whose `init` raises what the test puts into `refusal`."""
    double = ModuleType("ray")
    double.__spec__ = SimpleNamespace()  # type: ignore[assignment]

    def init(address: str, **options: object) -> None:
        raise double.refusal

    double.init = init  # type: ignore[attr-defined]
    double.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", double)
    return double


@pytest.fixture
def listening():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"ray://127.0.0.1:{server.getsockname()[1]}"


def test_no_cluster_there(ray) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=f"No Ray cluster answers at 127.0.0.1:{port}. Start one with"):
        connect(f"ray://127.0.0.1:{port}")


MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.40.0
    Python: 3.10.2
This process on Ray Client was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            RuntimeError(MISMATCH),
            "runs Ray 2.40.0 on Python 3.10.2; on this machine it is Ray 2.60.0 on Python 3",
        ),
        (ConnectionError("ray client connection timeout"), "does not take us: ray client connection timeout"),
        (RuntimeError(""), "does not take us: no reason given"),
    ],
)
def test_a_cluster_that_does_not_take_us(ray, listening, refusal, told) -> None:
    ray.refusal = refusal
    with pytest.raises(InputError, match=told) as found:
        connect(listening)
    assert "\n" not in str(found.value)


def test_without_ray_it_is_told_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match="Ray is not installed. Install it with `python run.py cluster setup`."
    ):
        load_ray()


def test_nothing_is_told_about_its_use(ray, monkeypatch) -> None:
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    load_ray()
    import os

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (RayError("The actor died unexpectedly"), LostError, "Node tower is lost."),
        (
            ConnectionError("GRPC connection failed"),
            GoneError,
            "The cluster at head:1 does not answer any more.",
        ),
        (
            RayTaskError("ray::x\nZeroDivisionError: division by zero"),
            CopierError,
            "ZeroDivisionError: division by zero",
        ),
        (
            RayError("an error raised in its creation task, x\nOSError: full"),
            CopierError,
            "failed: OSError: full.",
        ),
        (
            RayError("ModuleNotFoundError: No module named 'lib_copier'"),
            InputError,
            "Node tower has no Copier LoRA",
        ),
        (InputError("Ours.", "Kept."), InputError, "Ours. Kept."),
        (KeyError("x"), CopierError, "Node tower failed"),
    ],
)
def test_what_happens_to_a_node_is_told_by_its_name(ray, raised, kind, told) -> None:
    with pytest.raises(kind, match=told) as found, failures_named(ray, "ray://head:1", "tower"):
        raise raised
    assert type(found.value) is kind and "\n" not in str(found.value)
