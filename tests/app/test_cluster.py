"""`run.py cluster` and `--on`: what Ray is told, who can reach it, and what no cluster says."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest

from lib_copier.app import cluster
from lib_copier.app import project as commands
from lib_copier.app.where import executor_on
from lib_copier.edge import guard
from lib_copier.steps.project import Project


@pytest.fixture
def started(monkeypatch) -> list[tuple[list[str], dict[str, str]]]:
    """What was started, with its environment."""
    found: list[tuple[list[str], dict[str, str]]] = []

    def run(argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        found.append((argv, options["env"]))
        return subprocess.CompletedProcess(argv, 0, "", "")

    # The tests' own cluster, where it runs in this process, keeps to the loopback address by it.
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
    monkeypatch.setattr(cluster.subprocess, "run", run)
    monkeypatch.setattr(cluster, "is_open", lambda *place: True)
    return found


def test_a_cluster_of_one_machine_is_reached_by_nobody_else(started, capsys) -> None:
    assert cluster.main(["start", "--client-port", "10002"]) == 0
    ((argv, environment),) = started
    assert argv[2:5] == ["ray.scripts.scripts", "start", "--head"] and "--node-ip-address=127.0.0.1" in argv
    assert {"--include-dashboard=false", "--disable-usage-stats", "--ray-client-server-port=10002"} <= {*argv}
    assert environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    said = capsys.readouterr().out
    assert "--on ray://127.0.0.1:10002" in said and "runs code" not in said


def test_a_cluster_for_others_says_who_may_run_code(started, capsys) -> None:
    assert cluster.main(["start", "--host", "10.0.0.5", "--", "--num-cpus", "0"]) == 0
    ((argv, environment),) = started
    assert "--node-ip-address=10.0.0.5" in argv and argv[-2:] == ["--num-cpus", "0"]
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in environment
    said = capsys.readouterr().out
    assert "Whoever reaches its ports runs code on its nodes" in said and "cluster join 10.0.0.5:6379" in said


@pytest.mark.parametrize(("given", "address"), [("10.0.0.5", "10.0.0.5:6379"), ("head:7", "head:7")])
def test_a_node_joins_its_head(started, given, address) -> None:
    assert cluster.main(["join", given, "--", "--num-gpus", "1"]) == 0
    ((argv, environment),) = started
    assert argv[3:] == ["start", f"--address={address}", "--num-gpus", "1"]
    assert environment["PYTHONPATH"], "so that Ray's processes find our package"


def test_stop_and_setup(started) -> None:
    assert cluster.main(["setup"]) == 0 and not started
    assert cluster.main(["stop"]) == 0 and started[0][0][-1] == "stop"


def test_what_ray_says_when_it_does_not_start_is_told_in_one_line(monkeypatch, capsys) -> None:
    said = "noise\nRay is trying to start at 127.0.0.1:6379, but is already running.\n"
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(cluster.subprocess, "run", lambda *given, **options: failed)
    assert guard(cluster.main, ["start"]) == 3
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ray start failed: Ray is trying to start") and "\n" not in error


def test_here_is_nowhere_else() -> None:
    with executor_on("local") as elsewhere:
        assert elsewhere is None


@pytest.mark.parametrize("verb", [["run"], ["rerun"]])
def test_a_run_on_no_cluster_is_refused_before_it_begins(tmp_path, capsys, verb) -> None:
    Project.create(tmp_path / "slider")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    step = ["origin/x"] if verb == ["rerun"] else []
    for where, told in (
        (f"ray://127.0.0.1:{port}", f"error: No Ray cluster answers at 127.0.0.1:{port}. Start one with"),
        ("raid", "error: 'raid' is no address of a cluster. Give ray, or ray://HOST:PORT."),
    ):
        assert guard(commands.main, [*verb, str(tmp_path / "slider"), *step, "--on", where]) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "slider" / "log").exists()
