"""Options are found in the source of the scripts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lib_copier.engines.sd_scripts.checkout import SCRIPTS, TRAIN, Checkout
from lib_copier.engines.sd_scripts.options import script_options
from lib_copier.errors import InputError


def test_options_are_followed_into_the_library(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "shared.py").write_text(
        "from .deep import add_deep as deeper\n"
        "def add_shared(parser):\n    parser.add_argument('--shared')\n    deeper(parser)\n"
        "def add_unused(parser):\n    parser.add_argument('--unused')\n"
    )
    (tmp_path / "library" / "deep.py").write_text(
        "def add_deep(parser):\n    parser.add_argument('--deep')\n"
    )
    script = tmp_path / "train.py"
    script.write_text(
        "from library import shared as s\nimport argparse\n"
        "def own(parser):\n    parser.add_argument('-o', '--own', '--alias')\n"
        "def setup_parser():\n    parser = argparse.ArgumentParser()\n"
        "    s.add_shared(parser)\n    own(parser)\n    return parser\n"
    )
    (tmp_path / "sdxl.py").write_text(
        "import train\n"
        "def setup_parser():\n    parser = train.setup_parser()\n    parser.add_argument('--more')\n"
    )
    known = {"--shared", "--deep", "--own", "--alias"}
    assert script_options(tmp_path, script) == known
    assert script_options(tmp_path, tmp_path / "sdxl.py") == known | {"--more"}


def test_a_changed_script_is_read_again(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    for index, name in enumerate(("--one", "--two")):
        script.write_text(f"def setup_parser():\n    parser.add_argument('{name}')\n")
        os.utime(script, (index, index))
        assert script_options(tmp_path, script) == {name}


def test_every_script_is_read(checkout: Checkout) -> None:
    counts = {name: len(script_options(checkout.folder, checkout.folder / name)) for name in SCRIPTS}
    assert counts[TRAIN] == 193
    assert min(counts.values()) >= 9


def test_unknown_options_and_missing_scripts(checkout: Checkout) -> None:
    asked = ["--seed", "1", "--no_such", "--ratios", "-1", "--no_such=2"]
    assert checkout.unknown_options(TRAIN, asked) == ["--no_such", "--ratios"]
    (checkout.folder / TRAIN).unlink()
    with pytest.raises(InputError, match=f"no {TRAIN}.*engine install"):
        checkout.script(TRAIN)
