"""The choice of torch's build for every kind of machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.environment.torch_build import Machine, choose_torch, look_at_machine

PIN = "torch==2.13.0"


def first(machine: Machine, wish: str = "auto") -> str:
    return " ".join(choose_torch(PIN, wish, machine).attempts[0])


def test_a_machine_without_gpu_looks_in_local_folders_first_and_never_for_cuda() -> None:
    build = choose_torch(PIN, "auto", Machine("Linux"))
    assert build.kind == "cpu"
    assert all("torch==2.13.0+cpu" in attempt for attempt in build.attempts)
    assert "--no-index" in build.attempts[0]
    assert build.attempts[1][2].endswith("/cpu")
    assert "--gpu" in build.advice


@pytest.mark.parametrize(
    ("machine", "start"),
    [
        (Machine("Linux", "RTX", (13, 0)), "torch==2.13.0"),
        (Machine("Linux", "RTX", None), "torch==2.13.0"),
        (Machine("Linux", "RTX", (12, 4)), "torch==2.13.0+cu126"),
        (Machine("Windows", "RTX", (13, 1)), "torch==2.13.0+cu130"),
        (Machine("Windows", "RTX", (12, 8)), "torch==2.13.0+cu126"),
        (Machine("Windows"), "torch==2.13.0"),
        (Machine("Darwin"), "torch==2.13.0"),
    ],
)
def test_the_first_attempt(machine: Machine, start: str) -> None:
    assert first(machine).split()[0] == start


def test_wishes_win_over_what_is_seen() -> None:
    assert choose_torch(PIN, "cpu", Machine("Linux", "RTX", (13, 0))).kind == "cpu"
    assert choose_torch(PIN, "cuda", Machine("Linux")).kind == "cuda"
    given = choose_torch(PIN, "cpu", Machine("Linux"), "torch==2.9.0 --index-url https://host/rocm")
    assert given.kind == "given"
    assert given.attempts == (("torch==2.9.0", "--index-url", "https://host/rocm"),)


def test_the_reason_names_what_was_seen() -> None:
    assert "RTX" in choose_torch(PIN, "auto", Machine("Linux", "RTX", (13, 0))).reason
    assert "no NVIDIA GPU" in choose_torch(PIN, "auto", Machine("Linux")).reason
    assert "ROCm" in choose_torch(PIN, "auto", Machine("Linux", amd=True)).reason


def fake_smi(folder: Path, listing: str, code: int = 0) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(
        f'#!/bin/sh\n[ "$1" = -L ] && {{ echo "{listing}"; exit {code}; }}\necho "CUDA Version: 12.4 "\n'
    )
    tool.chmod(0o755)


@pytest.mark.skipif("sys.platform == 'win32'")
def test_the_driver_tool_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake_smi(tmp_path, "GPU 0: Some Card 9000 (UUID: GPU-1)")
    seen = look_at_machine({})
    assert (seen.nvidia, seen.driver_cuda) == ("Some Card 9000", (12, 4))
    assert look_at_machine({"CUDA_VISIBLE_DEVICES": ""}).nvidia == "", "hidden on purpose"


@pytest.mark.skipif("sys.platform == 'win32'")
def test_a_driver_tool_without_a_gpu_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/proc/driver/nvidia/gpus").exists():
        pytest.skip("this machine has a GPU")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake_smi(tmp_path, "No devices were found", code=6)
    assert look_at_machine({}).nvidia == ""
