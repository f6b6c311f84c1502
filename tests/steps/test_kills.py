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
import itertools, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from lib_copier.steps.project import Project
folder, outside = map(Path, sys.argv[1:])
project = Project.open(folder)
began = time.monotonic()
work(0)
print(time.monotonic() - began, flush=True)
for _ in sys.stdin:
    pid = os.fork()
    if not pid:
        for number in itertools.count(1):
            work(number)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""
CHANGE = """
def work(number):
    picture = outside / f"{number % 4}.png"
    project.set({"copier.rank": str(4 + number % 60), "origins.one.file": str(picture)})
"""
UPLOAD = """
from PIL import Image
from lib_copier.ui.uploads import take
def work(number):
    rank = str(4 + number % 60)
    with Image.open(outside / f"{number % 4}.png") as image:
        take(project, image, str(number % 4), lambda path: {"copier.rank": rank, "origins.one.file": path})
"""
STYLE = """
def work(number):
    project.set({"base.folder": str(outside / str(number % 2))})
    project._take_in_pictures()
"""
PUBLISH = """
def work(number):
    for path in project.export("outline", outside):
        path.unlink()
    project.export("outline", outside)
"""


def shaken(work: str, project: Project, outside: Path) -> Iterator[int]:
    """Has the work done over and over, each time killed in its first few rounds; gives the kill's number."""
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
        # On a machine with other work a round takes longer: kills fall into it all the same.
        seconds = float(nursery.stdout.readline())
        for number in range(KILLS):
            nursery.stdin.write("\n")
            nursery.stdin.flush()
            pid = int(nursery.stdout.readline())
            time.sleep(moments.uniform(0.0, 3 * seconds))
            os.kill(pid, signal.SIGKILL)
            assert nursery.stdout.readline() == "ended\n"
            yield number
        nursery.stdin.close()


def whole_files(folder: Path) -> list[Path]:
    """What any reader would take for a file: not those that a killed writer left unnamed."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part")]


def noise_pictures(folder: Path, count: int = 4) -> dict[str, Path]:
    """Pictures that no cut file passes for, by the stem of their names."""
    folder.mkdir(parents=True)
    noise = random.Random(str(folder.name))
    for number in range(count):
        picture = Image.frombytes("RGB", (256, 256), noise.randbytes(3 * 256 * 256))
        picture.save(folder / f"{number}.png")
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("work", [CHANGE, UPLOAD], ids=["by their paths", "as uploads"])
def test_settings_and_pictures_are_the_old_or_the_new(project, tmp_path, monkeypatch, work) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    outside = tmp_path / "outside"
    sources = {stem: Image.open(path).tobytes() for stem, path in noise_pictures(outside).items()}
    made = project().set({"origins.one.source": "file", "origins.one.file": str(outside / "0.png")})
    made.set({"copier.rank": 4})
    ranks = set()
    for _ in shaken(work, made, outside):
        recipe = Project.open(made.folder).recipe
        rank, file = recipe.whole("copier.rank"), Path(str(recipe.origins[0].get("file")))
        # One change sets both: never one of them alone.
        assert file.name.startswith(f"{(rank - 4) % 4}-")
        ranks.add(rank)
        for path in whole_files(made.folder / "pictures"):
            with Image.open(path) as picture:
                assert picture.tobytes() == sources[path.name.partition("-")[0]]
    assert len(ranks) > 2, "nothing was written before any kill"
    assert Project.open(made.folder).set({"copier.rank": 99}).recipe.whole("copier.rank") == 99


@pytest.mark.slow
def test_a_folder_of_training_pictures_is_taken_in_whole_or_not_at_all(project, tmp_path) -> None:
    outside = tmp_path / "outside"
    wanted = []
    for name in ("0", "1"):
        pictures = noise_pictures(outside / name, 6)
        for path in list(pictures.values()):
            path.with_suffix(".txt").write_text(f"a picture of {path.stem}")
        wanted.append({path.name: path.read_bytes() for path in (outside / name).iterdir()})
    made = project().set({"base.train_style": "yes", "base.folder": str(outside / "0")})
    homes = set()
    for _ in shaken(STYLE, made, outside):
        named = made.folder / str(Project.open(made.folder).recipe.get("base.folder"))
        assert named.is_dir()
        homes.add(named.parent.name)
        for folder in (made.folder / "style").glob("pictures-*"):
            assert {path.name: path.read_bytes() for path in folder.iterdir()} in wanted
    assert homes == {"outside", "style"}, "killed before a copy was named, and after"
    made.set({"base.folder": str(outside / "0")})._take_in_pictures()
    assert not list((made.folder / "style").glob("*.part")), "what was left of a copy is gone"


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
