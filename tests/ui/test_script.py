"""The WebUI's door: executed as the host does, cheap, and harmless where something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ui.servers import ROOT, VERSIONS, python_for

DOUBLE = Path(__file__).with_name("webui_double.py")
HEAVY = {"torch", "diffusers", "transformers", "cv2", "skimage", "scipy"}


def build(version: str, data: Path) -> dict:
    done = subprocess.run(
        [str(python_for(version)), str(DOUBLE), str(data), "0"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_start_loads_nothing_heavy(tmp_path, version):
    built = build(version, tmp_path)
    assert built["title"] == "Copier LoRA"
    assert not HEAVY.intersection(built["imported"])
    assert built["saved"] == 0, "no component may end up in the host's ui-config.json"


def test_the_script_is_short_and_the_only_one():
    (script,) = (ROOT / "scripts").glob("*.py")
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 60


def in_host(data: Path, code: str, before: str = "") -> str:
    """What a program prints that has executed the script among the doubles of a host."""
    lines = [
        "import json, sys",
        f"sys.path.insert(0, {str(DOUBLE.parent)!r})",
        "from pathlib import Path",
        "import webui_double",
        before,
        f"webui_double.start_host(Path({str(data)!r}))",
        "from modules import script_callbacks",
        code,
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_BROKEN = """
import importlib.abc
class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ImportError("No module named " + name)
sys.meta_path.insert(0, Broken())
"""
_BUILT = """
webui_double.execute_script()
[tab] = script_callbacks.registered["ui_tabs"][0]()
"""


@pytest.mark.parametrize("name", ["lib_copier.ui.send", "lib_copier.host.a1111", "lib_copier.ui.compat"])
def test_what_is_missing_is_said_in_the_tab(tmp_path, name):
    code = """
html = [block for block in tab[0].blocks.values() if type(block).__name__ == "HTML"]
print(tab[1], html[0].value)
"""
    told = in_host(tmp_path, _BUILT + code, _BROKEN.format(name=name))
    assert "Copier LoRA could not start" in told
    assert f"No module named {name}" in told


def test_the_host_s_start_loads_only_what_draws_the_empty_page(tmp_path):
    told = in_host(
        tmp_path, _BUILT + "print(json.dumps([name for name in sys.modules if 'lib_copier.' in name]))"
    )
    rooms = {name.split(".")[1] for name in json.loads(told)}
    assert rooms == {"errors", "files", "host", "markup", "txt2img", "ui"}


def test_the_host_reads_a_short_stack_however_deep_it_loads_the_script(tmp_path):
    code = """
def nested(depth):
    nested(depth - 1) if depth else webui_double.execute_script()
nested(40)
print(json.dumps(script_callbacks.stacks))
"""
    stacks = json.loads(in_host(tmp_path, code))
    assert len(stacks) == 2
    for stack in stacks:
        assert stack[0] == str(ROOT / "scripts" / "copier_lora.py"), "the host names the extension by it"
        assert len(stack) < 10
