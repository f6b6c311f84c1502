"""Where commands run: here, each with its share of the cores, in workers that a run leaves to the next."""

from __future__ import annotations

from pathlib import Path

from lib_copier.engines.process import Outcome
from lib_copier.engines.task import Command
from lib_copier.graph import executor
from lib_copier.graph.executor import Local, Work
from tests.graph.conftest import child, step, texts


class Elsewhere:
    """Does by its own hand what a command would: the outputs are all that a run needs of it."""

    at_once = 3
    beside = 0

    def __init__(self) -> None:
        self.seen: list[Work] = []
        self.rests: list[bool] = []

    def run(self, work: Work, watch: object) -> Outcome:
        self.seen.append(work)
        (work.place.out / "text.txt").write_text("made elsewhere")
        return Outcome({"path": str(work.place.out / "text.txt")}, is_finished=True)

    def rest(self, *, leaves_device: bool) -> None:
        self.rests.append(leaves_device)


def test_commands_go_where_the_executor_brings_them_and_small_work_stays_here(run) -> None:
    elsewhere = Elsewhere()
    runner = run(step("a"), step("b", "a", action=child), executor=elsewhere)
    assert runner.run().made == ("a", "b")
    assert texts(runner) == {"a": "a", "b": "made elsewhere"}
    (work,) = elsewhere.seen
    assert work.place.step.id == "b" and work.command.argv[-1] == "0"
    assert work.digests == (runner._statuses["a"].artifact.digest("text.txt"),)
    assert runner._statuses["b"].artifact.result == {"path": "text.txt"}
    assert elsewhere.rests == [False]


def test_what_a_step_does_to_its_outputs_is_done_once(run) -> None:
    def refuse(place: object, result: object) -> None:
        raise AssertionError("it was done where the command ran")

    one = step("a", action=child)
    run(type(one)(**{**vars(one), "finish": refuse}), executor=Elsewhere()).run()


def test_commands_side_by_side_share_the_cores(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(executor, "granted_cores", lambda: 8)
    command = Command(("x",))
    assert ("OMP_NUM_THREADS", "2") in Local(at_once=4)._with_its_share(command).env
    assert ("OMP_NUM_THREADS", "8") in Local(at_once=4, heavy=1)._with_its_share(command).env
    assert ("OMP_NUM_THREADS", "2") in Local(at_once=4, heavy=9)._with_its_share(command).env
    assert not Local()._with_its_share(command).env
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert not Local(at_once=4)._with_its_share(command).env


class Workers:
    """What a run asks of workers."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def free(self) -> None:
        self.told.append("free")

    def close(self) -> None:
        self.told.append("close")


def test_workers_that_are_given_outlive_a_run_and_leave_a_shared_device(tmp_path: Path, run) -> None:
    kept = Workers()
    run(step("a"), executor=Local(kept)).run()
    assert kept.told == []
    run(step("b"), executor=Local(kept), device_lock=tmp_path / "gpu.lock").run()
    assert kept.told == ["free"]


def test_workers_of_a_run_end_with_it(run) -> None:
    own = Local()
    own._workers = kept = Workers()
    run(step("a"), executor=own).run()
    assert kept.told == ["close"]
