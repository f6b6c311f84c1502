"""Work of the host's in threads, and the GPU held while jobs run."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

from lib_copier.errors import InputError
from lib_copier.graph.queue import Queue
from lib_copier.host.standalone import StandaloneHost
from lib_copier.ui.hold import GpuHold
from lib_copier.ui.tasks import Tasks


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_one_task_a_key_and_its_message_once():
    tasks, go = Tasks(), threading.Event()

    def work():
        go.wait(5)
        raise InputError("No model.", "Load one.")

    assert tasks.start("a", work)
    assert not tasks.start("a", work)
    assert tasks.take_message("a") == ""
    go.set()
    wait_for(lambda: not tasks.find("a").is_open)
    assert tasks.take_message("a") == "No model. Load one."
    assert tasks.take_message("a") == ""
    assert tasks.start("a", lambda: None)


def test_a_fault_of_ours_is_told_too(caplog):
    tasks = Tasks()
    tasks.start("a", lambda: 1 / 0)
    wait_for(lambda: not tasks.find("a").is_open)
    assert "ZeroDivisionError" in tasks.take_message("a")


class Host(StandaloneHost):
    """A host with a GPU to hold."""

    def __init__(self, folder, device="cuda"):
        super().__init__(folder, [], folder)
        self.info = replace(self.info, is_webui=True)
        self.device = device
        self.log = []

    def device_for_child(self):
        return self.device

    @contextmanager
    def gpu_exclusive(self):
        self.log.append("freed")
        yield
        self.log.append("restored")


def test_the_gpu_is_held_from_the_first_job_to_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    queue, host = Queue(tmp_path / "queue"), Host(tmp_path)
    hold = GpuHold(host, queue)
    hold.ensure()
    assert host.log == []
    job = queue.submit("a", "a", ("x",))
    hold.ensure()
    hold.ensure()
    wait_for(lambda: host.log == ["freed"])
    queue.changed(job, state="done")
    wait_for(lambda: host.log == ["freed", "restored"])


def test_a_training_on_the_cpu_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    queue, host = Queue(tmp_path / "queue"), Host(tmp_path, "cpu")
    queue.submit("a", "a", ("x",))
    GpuHold(host, queue).ensure()
    time.sleep(0.05)
    assert host.log == []
