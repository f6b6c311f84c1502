"""One lock for threads and processes, given back by the system when its holder dies."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.files import lock


def test_a_lock_goes_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    code = (
        "import time; from pathlib import Path; from lib_copier.files.lock import locked\n"
        f"with locked(Path({str(path)!r})):\n    print('held', flush=True); time.sleep(60)"
    )
    waited: list[bool] = []
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline().strip() == b"held"
        assert lock.is_locked(path)
        with pytest.raises(lock.HeldError, match="in use"), lock.locked(path, wait=False):
            pass
        with (
            pytest.raises(lock.HeldError),
            lock.locked(path, on_wait=lambda: waited.append(True), should_stop=lambda: bool(waited)),
        ):
            pass
        child.kill()
    with lock.locked(path, wait=False):
        assert lock.is_locked(path)
    assert waited == [True]
    assert not lock.is_locked(path)


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "a.lock", [0], [0]

    def enter() -> None:
        with lock.locked(path):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_disk_that_cannot_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="cannot lock"), lock.locked(tmp_path / "a.lock"):
        pass
