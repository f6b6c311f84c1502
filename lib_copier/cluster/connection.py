"""The way to a cluster: Ray's client, which needs no process of Ray here, and its failures in words."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from lib_copier.errors import CopierError, InputError

PORT = 10001
"""Where Ray's head listens for clients."""
HERE = f"ray://127.0.0.1:{PORT}"
_ANSWER_SECONDS = 10.0
_ATTEMPTS = 3
_CREATION = "raised in its creation task"
"""Ray's words for a process that could not begin: it would do so nowhere."""
_HOW = "Start one with `python run.py cluster start`, or check the address."


class GoneError(CopierError):
    """The cluster does not answer any more."""


class LostError(CopierError):
    """A node has died, or the process on it."""


def require_address(text: str) -> str:
    """An address as people give it: ``ray`` (on this machine) or ``ray://HOST[:PORT]``.

    Raises
    ------
    InputError
        Where it is neither.
    """
    if text == "ray":
        return HERE
    found = re.fullmatch(r"ray://([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?/?", text)
    if found is None or not 0 < int(found[2] or PORT) < 1 << 16:
        raise InputError(f"{text!r} is no address of a cluster.", "Give ray, or ray://HOST:PORT.")
    return f"ray://{found[1]}:{found[2] or PORT}"


def load_ray() -> Any:
    """The library, which sends nothing about its use to anybody.

    Raises
    ------
    InputError
        Where it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if importlib.util.find_spec("ray") is None:
        raise InputError("Ray is not installed.", "Install it with `python run.py cluster setup`.")
    import ray

    # It tells of its own ways what nobody asked for.
    logging.getLogger("ray.client_builder").setLevel(logging.WARNING)
    return ray


def is_open(host: str, port: int, seconds: float = 0.0) -> bool:
    """Whether somebody listens there, within so many seconds."""
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            socket.create_connection((host, port), timeout=_ANSWER_SECONDS).close()
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)


def connect(address: str) -> Any:
    """Ray, connected to the cluster; `disconnect` ends it.

    Raises
    ------
    InputError
        There is no cluster, or one of another Ray or Python.
    """
    ray = load_ray()
    host = address.removeprefix("ray://")
    name, _, port = host.rpartition(":")
    # Ray itself would go on asking a closed port for half a minute.
    if not is_open(name.strip("[]"), int(port)):
        raise InputError(f"No Ray cluster answers at {host}.", _HOW)
    for attempt in range(_ATTEMPTS):
        try:
            ray.init(address, namespace=f"copier-lora-{uuid4().hex[:8]}", log_to_driver=False)
            break
        except Exception as error:
            # A head that has much to do may not get a client's process up in the time that it gives itself.
            if attempt + 1 == _ATTEMPTS or not isinstance(error, ConnectionError):
                raise InputError(*_refusal(str(error), host)) from error
    return ray


def disconnect(ray: Any) -> None:
    """End the connection; a cluster that is gone minds as little as we do."""
    with suppress(Exception):
        ray.shutdown()


def _refusal(text: str, host: str) -> tuple[str, str]:
    """What is wrong with a cluster that does not take us, and what to do."""
    versions = re.findall(r"^ *(Ray|Python): (\S+)$", text, re.MULTILINE)
    if "Version mismatch" in text and len(versions) == 4:
        there, here = (" on ".join(map(" ".join, pair)) for pair in (versions[:2], versions[2:]))
        return (
            f"The cluster at {host} runs {there}; on this machine it is {here}.",
            "Start its nodes with `python run.py cluster start` and `join` from this version.",
        )
    said = (text.strip().splitlines() or ["no reason given"])[-1][:300]
    return f"The cluster at {host} does not take us: {said.rstrip('.')}.", _HOW


@contextmanager
def failures_named(ray: Any, address: str, node: str) -> Iterator[None]:
    """A block that talks with a node: what Ray raises in it becomes one of our errors.

    Raises
    ------
    LostError
        The node, or the process on it, is dead.
    GoneError
        The cluster is.
    InputError
        The node has no Copier LoRA.
    """
    try:
        yield
    except CopierError:
        raise
    except ConnectionError as error:
        raise GoneError(
            f"The cluster at {address.removeprefix('ray://')} does not answer any more.",
            "What is done is kept: run again once it is back, or without --on.",
        ) from error
    except Exception as error:
        if "No module named 'lib_copier" in str(error):
            raise InputError(
                f"Node {node} has no Copier LoRA, or not this version.",
                "Start it by `python run.py cluster join …` from a checkout of the same version.",
            ) from error
        is_lost = isinstance(error, ray.exceptions.RayError) and _CREATION not in str(error)
        if isinstance(error, ray.exceptions.RayTaskError) or not is_lost:
            said = (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
            raise CopierError(f"Node {node} failed: {said}.", "Look at the log of its Ray.") from error
        raise LostError(f"Node {node} is lost.", "Run again.") from error
