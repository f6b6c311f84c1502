"""kill -9 while settings are written, pictures taken in and LoRAs published: old or new, never between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lib_copier.steps.project import Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")

ROOT = Path(__file__).resolve().parents[2]
KILLS = 25
NURSERY = f"""
import itertools, os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from lib_copier.steps.project import Project
folder, outside = map(Path, sys.argv[1:])
project = Project.open(folder)
project.faults()
for _ in sys.stdin:
    pid = os.fork()
    if not pid:
        work()
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""
CHANGE = """
def work():
    for number in itertools.count():
        picture = outside / f"{number % 4}.png"
        project.set({"copier.rank": str(4 + number % 60), "origins.one.file": str(picture)})
"""
PUBLISH = """
def work():
    while True:
        for path in project.export("outline", outside):
            path.unlink()
        project.export("outline", outside)
"""


def shaken(work: str, project: Project, outside: Path) -> Iterator[int]:
    """Has the work begun again and again, each time killed within a tenth of a second; gives its number."""
    moments = random.Random(11)
    nursery = subprocess.Popen(
        [sys.executable, "-c", work + NURSERY, str(project.folder), str(outside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for number in range(KILLS):
            nursery.stdin.write("\n")
            nursery.stdin.flush()
            pid = int(nursery.stdout.readline())
            time.sleep(moments.uniform(0.0, 0.1))
            os.kill(pid, signal.SIGKILL)
            assert nursery.stdout.readline() == "ended\n"
            yield number
        nursery.stdin.close()


def whole_files(folder: Path) -> list[Path]:
    """What any reader would take for a file: not those that a killed writer left unnamed."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part")]


def test_settings_and_pictures_are_the_old_or_the_new(project, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    noise = random.Random(3)
    for number in range(4):
        picture = Image.frombytes("RGB", (256, 256), noise.randbytes(3 * 256 * 256))
        picture.save(outside / f"{number}.png")
    made = project().set({"origins.one.source": "file", "origins.one.file": str(outside / "0.png")})
    made.set({"copier.rank": 4})
    sources = {path.stem: path.read_bytes() for path in outside.iterdir()}
    ranks = set()
    for _ in shaken(CHANGE, made, outside):
        recipe = Project.open(made.folder).recipe
        rank, file = recipe.whole("copier.rank"), Path(str(recipe.origins[0].get("file")))
        # One change sets both: never one of them alone.
        assert file.name.startswith(f"{(rank - 4) % 4}-")
        ranks.add(rank)
        for path in whole_files(made.folder / "pictures"):
            assert path.read_bytes() == sources[path.name.partition("-")[0]]
    assert len(ranks) > 1, "nothing was written before any kill"
    assert Project.open(made.folder).set({"copier.rank": 99}).recipe.whole("copier.rank") == 99


def test_a_published_lora_is_there_whole_or_not_at_all(project, tmp_path) -> None:
    made = project()
    made.run()
    artifact = made.artifact("publish/outline")
    files = {name: artifact.file(name).read_bytes() for name in artifact.manifest["files"]}
    outside = tmp_path / "loras"
    outside.mkdir()
    for _ in shaken(PUBLISH, made, outside):
        for path in whole_files(outside):
            assert path.read_bytes() == files[path.name]
    made.export("outline", outside)
    assert {path.name: path.read_bytes() for path in whole_files(outside)} == files
