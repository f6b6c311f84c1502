"""A real Ray cluster on this machine for all tests of this folder: a head and another node."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib_copier.cluster.executor import RayExecutor
from lib_copier.engines.tree import TOKEN_VARIABLE
from tests.steps.conftest import checkpoint, project, recipe, stand_in  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT / "tests" / "steps" / "stand_in.py"
_AGENTS = ("metrics_agent", "metrics_export", "runtime_env_agent", "dashboard_agent_listen")
"""A node waits for agents that choose a port themselves, and gives up on a busy machine."""
_ATTEMPTS = 4
_SMALL = {
    "num_cpus": 1,
    "memory": 4 << 30,
    "object_store_memory": 80 << 20,
    "include_dashboard": False,
    "node_ip_address": "127.0.0.1",
}


class Nodes:
    """The cluster; each node has a folder of its own, and no other way to ours."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self.port = _free_port()
        self.address = f"ray://127.0.0.1:{self.port}"
        self._cluster = Cluster()
        self._count = 0
        # Each node takes some processes of Python and half a minute at most: the head is one of the two.
        self.add(ray_client_server_port=self.port)
        self.other = self.add()

    def add(self, **options: Any) -> Any:
        """Start a node with a core; Ray gives up on one that is not there within half a minute."""
        own = self._own()
        for attempt in range(_ATTEMPTS):
            ports = {f"{name}_port": _free_port() for name in _AGENTS}
            try:
                return self._cluster.add_node(env_vars=own, **_SMALL, **ports, **options)
            except Exception:
                if attempt + 1 == _ATTEMPTS:
                    raise
        return None

    def kill_other(self) -> None:
        """What becomes of a node whose machine falls: all of Ray's processes on it at once."""
        node = self.other
        raylet = node.all_processes["raylet"][0].process.pid
        for process in [psutil.Process(raylet), *psutil.Process(raylet).children(recursive=True)]:
            with suppress(psutil.Error):
                if "ray" in " ".join(process.cmdline()):
                    process.send_signal(signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def left(self) -> list[Path]:
        """What jobs have left on the disks of nodes."""
        return sorted(self.folder.glob("*/jobs/*/*/work"))

    def children(self) -> list[int]:
        """Processes that nodes have started for steps and that do not wait for the next one."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                own = process.environ()
                is_ours = TOKEN_VARIABLE in own and "lib_copier.worker" not in process.cmdline()
                if is_ours and own.get("COPIER_LORA_NODE", "").startswith(str(self.folder)):
                    found.append(process.pid)
        return found

    def close(self) -> None:
        """End it."""
        self._cluster.shutdown()

    def _own(self) -> dict[str, str]:
        """A node's environment: its folder, and children that the stand-in plays."""
        self._count += 1
        home = self.folder / str(self._count)
        home.mkdir()
        names = {"COPIER_LORA_NODE": str(home), "COPIER_LORA_PYTHON": str(self.folder / "python")}
        return {**names, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes with a core each."""
    folder = tmp_path_factory.mktemp("nodes")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{STAND_IN}" "$@"\n')
    python.chmod(0o755)
    # Short: the names of Ray's sockets lie in it.
    temp = tempfile.mkdtemp(prefix="ray")
    with pytest.MonkeyPatch.context() as patch:
        # The switch keeps all on the loopback address.
        for name, value in (("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0"), ("RAY_USAGE_STATS_ENABLED", "0")):
            patch.setenv(name, value)
        patch.setenv("RAY_TMPDIR", temp)
        found = Nodes(folder)
        try:
            yield found
        finally:
            found.close()
            shutil.rmtree(temp, ignore_errors=True)


@pytest.fixture(scope="session")
def _connected(nodes: Nodes) -> Iterator[RayExecutor]:
    with RayExecutor(nodes.address) as found:
        yield found


@pytest.fixture
def on_ray(_connected: RayExecutor) -> Iterator[RayExecutor]:
    """The executor, connected to the cluster once for all tests."""
    yield _connected


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
