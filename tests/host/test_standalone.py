"""The host without a WebUI."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.host.base import is_hidden_path
from lib_copier.host.standalone import StandaloneHost
from lib_copier.txt2img.pictures import PictureRequest


def test_checkpoints_are_found_in_order(tmp_path: Path):
    demo = tmp_path / "demo.safetensors"
    demo.write_bytes(b"")
    (tmp_path / "models" / "sub").mkdir(parents=True)
    for name in ("sub/b.ckpt", "a.safetensors", "notes.txt"):
        (tmp_path / "models" / name).write_bytes(b"")
    host = StandaloneHost(tmp_path / "projects", [demo, tmp_path / "models", tmp_path / "none"], tmp_path)
    assert [found.title for found in host.checkpoints()] == [
        "demo.safetensors",
        "a.safetensors",
        "sub/b.ckpt",
    ]
    assert host.current_checkpoint().path == demo


def test_exposed_pages_install_nothing(tmp_path: Path):
    info = StandaloneHost(tmp_path, [], tmp_path, is_exposed=True).info
    assert not info.may_install
    assert not info.may_choose_paths


def test_what_only_a_webui_can_do_is_refused_in_words(tmp_path: Path):
    host = StandaloneHost(tmp_path, [], tmp_path)
    assert host.current_checkpoint() is None
    with host.gpu_exclusive():
        assert not host.is_busy()
    for call in (
        lambda: host.generate([PictureRequest("x")]),
        lambda: host.receive([], None),
        lambda: host.caption(None, "clip"),
    ):
        with pytest.raises(InputError):
            call()


def test_hidden_folders():
    assert is_hidden_path(Path("/home/.cache/webui"))
    assert not is_hidden_path(Path("/home/webui/../x"))
