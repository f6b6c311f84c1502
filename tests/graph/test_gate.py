"""The gate keeps jobs back for as long as the process lives that closed it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lib_copier.graph.gate import Gate
from lib_copier.graph.queue import Queue

CLOSER = """
import sys
from pathlib import Path
from lib_copier.graph.gate import Gate
gate = Gate(Path(sys.argv[1]))
gate.close()
print("closed", flush=True)
sys.stdin.read()
"""


def test_it_opens_with_its_process_however_that_ends(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    assert not gate.is_closed
    with subprocess.Popen(
        [sys.executable, "-c", CLOSER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline().strip() == b"closed"
        assert gate.is_closed
        gate.close()
        gate.open()
        assert gate.is_closed, "the other one still keeps it"
        other.kill()
        other.wait()
    assert not gate.is_closed
    gate.close()
    assert [path.name for path in tmp_path.iterdir()] == [gate._own.name], "what a dead process left goes"
    gate.close()
    gate.open()
    assert not gate.is_closed and not list(tmp_path.iterdir())


def test_a_closed_gate_keeps_back_what_needs_the_gpu_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    queue = Queue(tmp_path / "queue")
    heavy = queue.submit("a", "a", ("x",))
    light = queue.submit("b", "b", ("x",), needs_gpu=False)
    queue.gate.close()
    assert queue.begin(heavy) is None
    begun = queue.begin(light)
    assert begun is not None and begun.state == "running"
    queue.gate.open()
    begun = queue.begin(heavy)
    assert begun is not None and begun.started_at
