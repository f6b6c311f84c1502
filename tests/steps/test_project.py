"""The project facade: from a recipe to finished files, and every way back."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib_copier.errors import CancelledError, ChildError, FaultsError, InputError
from lib_copier.files.lock import HeldError
from lib_copier.graph.folders import LONGEST_INSIDE, Folders
from lib_copier.graph.lock import held
from lib_copier.steps.project import Project
from tests.steps.looks import published, states


def test_a_run_makes_every_step_and_a_second_touches_nothing(project):
    made = project(edits=("outline", "flat"), sweep__control=True)
    report = made.run()
    assert set(states(made).values()) == {"done"}
    assert "control/flat" in report.made and "merge/flat" in report.skipped
    before = {path: path.stat().st_mtime_ns for path in (made.folder / "artifacts").rglob("*")}
    assert made.run().made == ()
    assert before == {path: path.stat().st_mtime_ns for path in (made.folder / "artifacts").rglob("*")}


@pytest.mark.parametrize("way", ["exact", "checkpoints"])
def test_several_origins_share_each_edit(project, way):
    made = project(origins=("one", "two"), difference__way=way, copier_model__as_file=True)
    made.run()
    found = states(made)
    assert set(found.values()) == {"done"}
    assert {"copier/one", "copier/two", "copier_model/two", "edit_lora/two/outline"} <= set(found)


def test_changing_an_edit_reruns_only_what_follows_it(project):
    made = project(edits=("outline", "flat"))
    made.run()
    made.set({"edits.outline.effects": "outline:strength=0.5"})
    stale = {step for step, state in states(made).items() if state != "done"}
    follows = {
        "edit/one",
        "survival/one",
        "edit_lora/one",
        "merge",
        "difference",
        "resize",
        "calibrate",
        "sweep",
        "publish",
    }
    assert stale == {f"{kind}/outline" for kind in follows}
    assert {step.split("/")[-1] for step in made.run().made} == {"outline"}
    made.set({"edits.outline.effects": "outline"})
    assert set(states(made).values()) == {"done"}, "going back is free"


def test_status_says_what_changed(project):
    made = project(copier__steps=600)
    made.run()
    made.set({"copier.steps": "700"})
    copier = made.step_status("copier/one")
    assert (copier.state, copier.reasons) == ("stale", ("copier.steps changed 600 → 700",))
    follower = made.step_status("edit_lora/one/outline")
    assert (follower.state, follower.reasons) == ("stale", ("waits for copier/one",))


@pytest.mark.parametrize("key", ["project.device", "copier.sample_every", "copier.state_every"])
def test_what_changes_no_result_makes_nothing_stale(project, key):
    made = project()
    made.run()
    made.set({key: "cpu" if key == "project.device" else "7"})
    assert set(states(made).values()) == {"done"}


def test_another_checkpoint_is_told_and_no_crash(project, checkpoint):
    made = project()
    made.run()
    checkpoint.write_bytes(b"other weights of the base model")
    first = made.step_status("origin/one")
    assert first.state == "stale" and "checkpoint" in first.reasons[0] and "changed" in first.reasons[0]
    checkpoint.unlink()
    gone = made.step_status("origin/one")
    assert gone.state == "stale" and "is missing" in gone.reasons[0]
    with pytest.raises(FaultsError, match="does not exist"):
        made.run()


@pytest.mark.parametrize("harm", ["corrupt", "remove", "record"])
def test_a_broken_artifact_is_told_and_made_again_alone(project, harm):
    made = project()
    made.run()
    before = published(made)
    lora = made.file("edit_lora/one/outline")
    if harm == "corrupt":
        lora.write_bytes(lora.read_bytes()[:-1] + b"\xff")
    elif harm == "remove":
        lora.unlink()
    else:
        (lora.parent / "manifest.json").write_text("{")
    status = made.step_status("edit_lora/one/outline")
    assert status.state == "stale" and "made again" in status.reasons[0]
    assert made.run().made == ("edit_lora/one/outline",)
    assert published(made) == before


def test_rerun_makes_one_step_again_and_nothing_after_it(project):
    made = project()
    made.run()
    at = made.artifact("copier/one").manifest["made_at"]
    assert made.rerun("copier/one").made == ("copier/one",)
    assert made.artifact("copier/one").manifest["made_at"] > at
    assert set(states(made).values()) == {"done"}


def test_run_until_does_only_what_the_step_needs(project):
    made = project(edits=("outline", "flat"))
    report = made.run(["edit_lora/one/flat"])
    assert set(report.made) == {
        "origin/one",
        "caption/one",
        "copier/one",
        "check/one",
        "survival/one/flat",
        "edit/one/flat",
        "edit_lora/one/flat",
    }
    with pytest.raises(InputError, match="no step 'nope'"):
        made.run(["nope"])


def test_a_failed_child_is_explained_and_the_rest_is_kept(project, monkeypatch):
    made = project()
    monkeypatch.setenv("STAND_IN_FAIL", "train")
    with pytest.raises(ChildError) as caught:
        made.run()
    assert "GPU's memory is full" in caught.value.advice
    assert any("out of memory" in line for line in caught.value.last_lines)
    status = made.step_status("copier/one")
    assert status.state == "failed" and "out of memory" in status.reasons[0]
    assert made.step_status("origin/one").state == "done"
    events, _offset = made.events()
    assert [event["event"] for event in events][-2:] == ["step_failed", "run_failed"]
    monkeypatch.delenv("STAND_IN_FAIL")
    assert "copier/one" in made.run().made


def test_the_second_runner_is_told_who_holds_the_project(project, monkeypatch):
    monkeypatch.setenv("STAND_IN_TICK", "0.1")
    made = project()
    thread = threading.Thread(target=made.run, kwargs={"until": ["copier/one"]})
    thread.start()
    _wait_for(lambda: "copier/one" in (made.running().steps if made.running() else ()))
    with pytest.raises(HeldError, match=r"in use by process \d+ on "):
        Project.open(made.folder).run()
    assert made.step_status("copier/one").state == "running"
    thread.join()


@pytest.mark.parametrize("how", ["discard", "save"])
def test_cancel_ends_a_run_and_save_keeps_the_lora(project, monkeypatch, how):
    monkeypatch.setenv("STAND_IN_TICK", "0.1")
    made = project()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            made.run(["copier/one"])
        except CancelledError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    _wait_for(lambda: any(e["event"] == "progress" for e in made.events()[0]))
    assert Project.open(made.folder).cancel(how)
    thread.join(20)
    copier = made.step_status("copier/one")
    if how == "discard":
        assert errors and copier.state == "missing"
    else:
        assert copier.state == "done" and copier.artifact.result["was_stopped"]
    assert not made.cancel()


def _wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def test_a_lora_without_a_recipe_is_refused_and_leaves_no_folder(project, tmp_path):
    made = project()
    made.run(["resize/outline"])
    with pytest.raises(InputError, match="carries no recipe"):
        Project.from_lora(tmp_path / "again", made.file("resize/outline"))
    assert not (tmp_path / "again").exists()


def test_a_copied_project_is_done_elsewhere(project, tmp_path):
    made = project()
    made.run()
    made.folder.rename(tmp_path / "moved")
    moved = Project.open(tmp_path / "moved")
    assert moved.run().made == ()
    assert str(tmp_path / "slider") not in (moved.folder / "project.json").read_text()
    for manifest in moved.folder.rglob("manifest.json"):
        assert str(tmp_path / "slider") not in manifest.read_text()
    assert str(moved.folder) in moved.command("copier/one") and "{" not in moved.command("copier/one")


def test_a_duplicate_starts_with_all_that_was_made(project, tmp_path):
    made = project()
    made.run()
    copy = made.duplicate(tmp_path / "other")
    assert copy.name == "other"
    assert copy.run().made == ("publish/outline",), "only the name in the file differs"
    b = made.duplicate(tmp_path / "b").set({"project.method": "difference"})
    assert "copier/one" not in b.run().made


def test_a_failed_duplicate_leaves_nothing_and_its_name_free(project, tmp_path, monkeypatch):
    made = project()
    made.run()
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched:
        patched.setattr("lib_copier.steps.project.move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        made.duplicate(tmp_path / "second")
    assert not [path.name for path in tmp_path.iterdir() if path.name == "second" or path.suffix == ".part"]
    (tmp_path / "second").mkdir()
    assert made.duplicate(tmp_path / "second").run().made == ("publish/outline",)


def test_prune_keeps_what_the_recipe_uses(project):
    made = project()
    made.run()
    made.set({"copier.steps": "501"})
    made.run()
    count, freed = made.prune()
    assert count > 0 and freed > 0
    assert set(states(made).values()) == {"done"} and made.prune()[0] == 0
    made.set({"copier.steps": "3072"})
    assert states(made)["copier/one"] == "stale"


def test_prune_leaves_a_search_that_is_under_way(project):
    made = project()
    search = made.store.work / "scout"
    with held(Folders(search).lock, "The search"):
        (search / "study.json").write_text("{}")
        assert made.prune()[0] == 0 and (search / "study.json").is_file()
    assert made.prune()[0] == 1 and not search.exists()


def test_open_tells_what_is_wrong(tmp_path, project):
    with pytest.raises(InputError, match="holds no project"):
        Project.open(tmp_path)
    made = project()
    (made.folder / "project.json").write_text("{torn")
    with pytest.raises(InputError, match="no sound JSON"):
        Project.open(made.folder)
    with pytest.raises(InputError, match="not empty"):
        Project.create(made.folder)


def test_changes_of_many_at_once_are_all_kept(project):
    keys = ["copier.rank", "copier.steps", "edit_lora.rank", "edit_lora.steps", "check.pairs", "sweep.pairs"]
    made = project(edits=tuple(f"e{n}" for n in range(8)))

    def click(n: int) -> None:
        # Each request opens the project; this one goes on with what it opened, however old that is.
        opened = Project.open(made.folder)
        for value in range(1, 7):
            opened.set({f"edits.e{n}.publish.notes": f"{n} {value}"})
            opened.set({f"edits.new-{n}-{value}": True})
        if n < len(keys):
            opened.set({keys[n]: 6 + n})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(click, range(8)))
    found = Project.open(made.folder).recipe
    assert [found.get(key) for key in keys] == list(range(6, 12))
    assert [dict(edit.settings).get("publish.notes") for edit in found.edits[:8]] == [
        f"{n} 6" for n in range(8)
    ]
    assert len(found.edits) == 8 + 48


def test_a_late_change_takes_back_no_other(project):
    """A caption that took a minute is stored into the recipe as it is then."""
    made = project()
    slow = Project.open(made.folder)
    made.set({"copier.rank": 13})
    slow.set({"origins.one.caption": "a house"})
    assert Project.open(made.folder).recipe.get("copier.rank") == 13
    assert slow.recipe.get("copier.rank") == 13


def test_paths_in_a_project_stay_within_what_was_told_to_windows(project) -> None:
    made = project()
    made.run()
    inside = [len(str(path.relative_to(made.folder))) for path in made.folder.rglob("*")]
    # While a file is written, a dot, nine signs and an ending stand beside its name.
    assert max(inside) + 15 <= LONGEST_INSIDE
