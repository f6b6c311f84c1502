"""Making an environment: what is asked of pip, what is left alone, and what failures say."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lib_copier.environment import layer, make, torch_build
from lib_copier.environment.make import Wanted, make_environment
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import NAME, is_current, read_stamp, write_stamp
from lib_copier.environment.torch_build import Machine
from lib_copier.errors import ChildError, InputError

GROUPS = {"base": ("numpy==2.2.6", "pillow==11.3.0")}


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build, "look_at_machine", lambda: Machine("Linux"))


def wanted(folder: Path, **changes: Any) -> Wanted:
    return dataclasses.replace(Wanted(folder, GROUPS), **changes)


def test_a_bare_folder_gets_torch_and_the_group(environment: Path, pip: Any, report: Report) -> None:
    stamp = make_environment(wanted(environment), report)
    assert stamp.torch == "cpu"
    assert stamp.groups == GROUPS
    assert "--no-index" in pip.runs[0]
    assert any(word.endswith("+cpu") for word in pip.runs[0])
    assert pip.requirements == [list(GROUPS["base"])]
    assert "torch==2.13.0" in pip.constraints[0]
    assert is_current(environment, GROUPS)


def test_what_is_there_is_not_installed_again(environment: Path, pip: Any, report: Report) -> None:
    make_environment(wanted(environment), report)
    count = len(pip.runs)
    make_environment(wanted(environment), report)
    assert len(pip.runs) == count


def test_only_the_changed_group_is_installed(environment: Path, pip: Any, report: Report) -> None:
    make_environment(wanted(environment), report)
    more = {**GROUPS, "ui": ("gradio==6.17.3",)}
    make_environment(wanted(environment, groups=more), report)
    assert pip.requirements[-1] == ["gradio==6.17.3"]
    # The torch that is there is named, so that adding a group can never replace it.
    assert any(word == "torch==2.13.0+cpu" for word in pip.runs[-1])
    changed = {"base": ("numpy==2.2.7", "pillow==11.3.0")}
    make_environment(wanted(environment, groups=changed), report)
    assert pip.requirements[-1] == list(changed["base"])
    stamp = read_stamp(environment)
    assert stamp is not None
    assert stamp.groups == {**changed, "ui": ("gradio==6.17.3",)}


def test_a_broken_off_start_is_not_taken_for_whole(environment: Path, pip: Any, report: Report) -> None:
    make_environment(wanted(environment), report)
    pip.fails = lambda arguments: "-r" in arguments
    changed = {"base": ("numpy==2.2.7",)}
    with pytest.raises(ChildError):
        make_environment(wanted(environment, groups=changed), report)
    assert not is_current(environment, GROUPS)
    assert not is_current(environment, changed)
    pip.fails = lambda arguments: False
    make_environment(wanted(environment, groups=changed), report)
    assert is_current(environment, changed)


def test_an_environment_made_by_hand_is_adopted(environment: Path, pip: Any, report: Report) -> None:
    make_environment(wanted(environment), report)
    (environment / NAME).unlink()
    keepsake = environment / "site-packages" / "mine.py"
    keepsake.touch()
    pip.runs.clear()
    make_environment(wanted(environment), report)
    assert keepsake.exists()
    assert all("uninstall" not in run for run in pip.runs)
    assert [run for run in pip.runs if "-r" not in run] == [], "torch was there and is kept"
    assert is_current(environment, GROUPS)


def test_a_dead_network_names_all_that_is_missing_and_the_ways_out(
    environment: Path, pip: Any, report: Report
) -> None:
    pip.fails = lambda arguments: "-r" in arguments
    with pytest.raises(ChildError) as caught:
        make_environment(wanted(environment), report)
    text = str(caught.value)
    for word in (
        "numpy==2.2.6",
        "pillow==11.3.0",
        "cannot be reached",
        "--wheels",
        "PIP_FIND_LINKS",
        "PROXY",
    ):
        assert word in text
    assert "\n" not in text


def test_no_cpu_build_within_reach_does_not_pull_the_cuda_one(
    environment: Path, pip: Any, report: Report
) -> None:
    pip.fails = lambda arguments: True
    with pytest.raises(ChildError, match=r"--wheels.*--gpu"):
        make_environment(wanted(environment), report)
    asked = [word for run in pip.runs for word in run if word.startswith("torch==")]
    assert asked
    assert all(word.endswith("+cpu") for word in asked)


def test_another_build_replaces_the_one_that_is_there(environment: Path, pip: Any, report: Report) -> None:
    make_environment(wanted(environment), report)
    stamp = make_environment(wanted(environment, torch="cuda"), report)
    assert stamp.torch == "cuda"
    assert ("uninstall", "--yes", "torch") in pip.runs
    count = len(pip.runs)
    make_environment(wanted(environment), report)
    assert len(pip.runs) == count, "without a wish the build that was chosen stays"


def test_a_folder_of_wheels_is_handed_to_pip(
    environment: Path, pip: Any, report: Report, tmp_path: Path
) -> None:
    make_environment(wanted(environment, wheels=tmp_path), report)
    assert all(("--find-links", str(tmp_path)) == run[run.index("--find-links") :][:2] for run in pip.runs)


def test_a_borrowed_torch_is_never_installed(
    environment: Path, pip: Any, report: Report, tmp_path: Path, put_package: Any
) -> None:
    host = tmp_path / "host site"
    put_package(host, "torch", "2.1.2+cu121")
    put_package(host, "numpy", "1.26.2")
    groups = {"base": (*GROUPS["base"], "opencv-python-headless==4.12.0.88", "diffusers[torch]==0.35.2")}
    stamp = make_environment(wanted(environment, groups=groups, host_site_packages=(host,)), report)
    assert stamp.torch == "host"
    assert pip.requirements == [
        ["pillow==11.3.0", "opencv-python-headless==4.11.0.86", "diffusers[torch]==0.35.2"]
    ]
    assert pip.constraints == [["numpy==1.26.2", "torch==2.1.2+cu121"]]
    assert (environment / "site-packages" / "borrowed_torch.pth").read_text(encoding="utf-8") == f"{host}\n"
    assert is_current(environment, groups)
    write_stamp(environment, stamp._replace(layer=0))
    assert not is_current(environment, groups), "an earlier version showed it all of the host's packages"
    write_stamp(environment, stamp)
    (host / "torch-2.1.2+cu121.dist-info").rename(host / "torch-2.3.1.dist-info")
    assert not is_current(environment, groups), "the host's torch is another one now"


def test_of_a_host_only_what_is_needed_is_seen(tmp_path: Path, put_package: Any) -> None:
    """A library that looks for another one, and stops where that is too old, must not find the host's."""
    ours, host = tmp_path / "ours", tmp_path / "höst"
    needs = {"torch": ("sympy", "peft>=1; extra == 'more'"), "sympy": ("mp-math",), "mp-math": (), "peft": ()}
    for name, others in needs.items():
        folder = put_package(host, name, "2.3")
        with (folder / "METADATA").open("a") as file:
            file.writelines(f"Requires-Dist: {other}\n" for other in others)
        (host / name.replace("-", "")).mkdir()
        (host / name.replace("-", "") / "__init__.py").write_text("")
        (folder / "RECORD").write_text(f"{name.replace('-', '')}/__init__.py,,\n{folder.name}/METADATA,,\n")
    put_package(ours, "diffusers", "1")
    (ours / "diffusers.py").write_text("")
    layer.borrow(layer.find_host([host]), ours)
    layer.show_needed(layer.find_host([host]), ours, ["diffusers==1"])
    look = (
        "import site, sys, importlib.util as u; site.addsitedir(sys.argv[1]); "
        "site.addsitedir(sys.argv[1]); import torch; "
        "print([name for name in ('diffusers', 'torch', 'sympy', 'mpmath', 'peft') if u.find_spec(name)])"
    )
    command = [sys.executable, "-B", "-I", "-S", "-X", "utf8", "-c", look, str(ours)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['diffusers', 'torch', 'sympy', 'mpmath']"
    layer.stop_borrowing(ours)
    assert sorted(path.name for path in ours.iterdir()) == ["diffusers-1.dist-info", "diffusers.py"]


def test_borrowing_goes_on_while_there_is_something_to_borrow(tmp_path: Path, put_package: Any) -> None:
    site_packages = tmp_path / "lib" / "python3.11" / "site-packages"
    site_packages.mkdir(parents=True)
    host = tmp_path / "höst"
    metadata = put_package(host, "torch", "2.1.2")
    assert layer.borrowed_paths(tmp_path) == ()
    layer.borrow(layer.find_host([host]), site_packages)
    assert layer.borrowed_paths(tmp_path) == (host,)
    metadata.rename(host / "gone")
    assert layer.borrowed_paths(tmp_path) == ()


def test_a_torch_that_is_too_old_is_not_borrowed(tmp_path: Path, put_package: Any) -> None:
    put_package(tmp_path / "old", "torch", "1.13.1+cu117")
    put_package(tmp_path / "new", "torch", "2.1.2")
    assert layer.borrowable([tmp_path / "old"]) is None
    assert layer.borrowable([tmp_path / "nothing"]) is None
    with pytest.raises(InputError, match="older than"):
        layer.find_host([tmp_path / "old"])
    host = layer.borrowable([tmp_path / "new"])
    assert host is not None and host.versions["torch"] == "2.1.2"


def test_the_folder_of_wheels_holds_what_suits_the_borrowed_numpy(
    environment: Path, tmp_path: Path, put_package: Any
) -> None:
    put_package(tmp_path, "torch", "2.1.2")
    put_package(tmp_path, "numpy", "1.26.2")
    groups = {"base": (*GROUPS["base"], "opencv-python-headless==4.12.0.88")}
    lines = make.downloads(wanted(environment, groups=groups, host_site_packages=(tmp_path,)))
    assert any("opencv-python-headless==4.11.0.86" in line for line in lines)
    assert not any("torch" in line for line in lines)


def test_without_an_index_a_torch_at_hand_is_offered(
    environment: Path, pip: Any, report: Report, tmp_path: Path, put_package: Any, monkeypatch: Any
) -> None:
    pip.fails = lambda arguments: True
    put_package(tmp_path, "torch", "2.1.2")
    monkeypatch.setattr(layer, "running_host_paths", lambda: (tmp_path,))
    with pytest.raises(ChildError, match=r"torch 2\.1\.2 .*--host-torch"):
        make_environment(wanted(environment), report)
    put_package(tmp_path / "old", "torch", "1.13.1")
    monkeypatch.setattr(layer, "running_host_paths", lambda: (tmp_path / "old",))
    with pytest.raises(ChildError) as caught:
        make_environment(wanted(environment), report)
    assert "--host-torch" not in str(caught.value)


def test_two_starts_at_once_do_the_work_once(environment: Path, pip: Any, report: Report) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            make_environment(wanted(environment), report)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(pip.requirements) == 1


@pytest.mark.slow
def test_a_real_environment_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report, base_python: Path, put_package: Any
) -> None:
    """venv and pip for real: no package is asked for, and a broken interpreter is replaced."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    host = tmp_path / "host"
    put_package(host, "torch", "2.1.2")
    asked = Wanted(
        tmp_path / "ünder a name" / ".venv", {"empty": ()}, host_site_packages=(host,), python=base_python
    )
    stamp = make_environment(asked, report)
    assert stamp.python.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    missing = dataclasses.replace(asked, groups={"base": ("no-such-package-of-ours==1.0",)})
    with pytest.raises(ChildError, match="no-such-package-of-ours==1.0"):
        make_environment(missing, report)
    python = make.ensure_interpreter(asked.folder, base_python, asked.log, report).python
    python.unlink()
    make_environment(asked, report)
    assert is_current(asked.folder, asked.groups)
