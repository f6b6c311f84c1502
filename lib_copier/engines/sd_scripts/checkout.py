"""A checkout of sd-scripts on disk: its scripts, its commit, and the options that its scripts take."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_copier.engines.sd_scripts.options import script_options
from lib_copier.errors import InputError

CHECKOUT_VARIABLE = "COPIER_LORA_SD_SCRIPTS"
"""Names a checkout that the user already has."""
PYTHON_VARIABLE = "COPIER_LORA_SD_SCRIPTS_PYTHON"
"""Names the Python that runs its scripts."""

TRAIN = "train_network.py"
SDXL_TRAIN = "sdxl_train_network.py"
MERGE = "networks/merge_lora.py"
SDXL_MERGE = "networks/sdxl_merge_lora.py"
RESIZE = "networks/resize_lora.py"
SVD_MERGE = "networks/svd_merge_lora.py"
EXTRACT = "networks/extract_lora_from_models.py"
TAG = "finetune/tag_images_by_wd14_tagger.py"
SCRIPTS = (TRAIN, SDXL_TRAIN, MERGE, SDXL_MERGE, RESIZE, SVD_MERGE, EXTRACT, TAG)

_INSTALL = "Run `python run.py engine install`."


@dataclass(frozen=True)
class Checkout:
    """A folder with sd-scripts, and the Python whose packages it runs with."""

    folder: Path
    python: Path

    def script(self, name: str) -> Path:
        """One of `SCRIPTS` as a path.

        Raises
        ------
        InputError
            The checkout has no such script.
        """
        path = self.folder / name
        if not path.is_file():
            raise InputError(f"The sd-scripts checkout {self.folder} has no {name}.", _INSTALL)
        return path

    def unknown_options(self, script: str, arguments: Sequence[str]) -> list[str]:
        """Which of these arguments are options that the checkout's own script does not take."""
        known = script_options(self.folder, self.script(script))
        asked = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
        return [option for option in dict.fromkeys(asked) if option not in known]

    def version(self) -> str:
        """The commit, read without git; where there is none (an unpacked archive), a digest."""
        return _commit(self.folder) or _digest(self.folder)


def _commit(folder: Path) -> str:
    """The commit that is checked out, or empty."""
    git = folder / ".git"
    try:
        if git.is_file():  # a worktree or submodule: the file says where its data lie
            git = (folder / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        shared = git / "commondir"
        data = (git / shared.read_text(encoding="utf-8").strip()).resolve() if shared.is_file() else git
        loose = data / name
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        for line in (data / "packed-refs").read_text(encoding="utf-8").splitlines():
            if line.endswith(" " + name):
                return line.partition(" ")[0]
    except OSError:
        pass
    return ""


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in [*(folder / name for name in SCRIPTS), *sorted((folder / "library").glob("*.py"))]:
        if path.is_file():
            digest.update(path.read_bytes())
    return f"files-{digest.hexdigest()[:16]}"
