"""A project: a folder with a recipe and what was made of it. The one door for command line and page.

Everything lies in the folder (``project.json``, ``artifacts/``, ``pictures/``, ``log/`` …), which can be
copied as a whole. A `Project` holds no state of its own beside the recipe it last read: any number of
processes may look at one folder, and one at a time may run it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lib_copier.engines.choose import engine_version
from lib_copier.engines.workers import Workers
from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import move, parse_json, read_json, write_json
from lib_copier.files.lock import locked
from lib_copier.files.names import normal_name
from lib_copier.graph.by_hand import lay_out
from lib_copier.graph.events import Listener
from lib_copier.graph.executor import Executor
from lib_copier.graph.folders import free_place
from lib_copier.graph.inputs import require_whole
from lib_copier.graph.lock import held
from lib_copier.graph.runner import Report, Runner
from lib_copier.graph.running import DISCARD, ask_to_stop
from lib_copier.graph.step import StepInput
from lib_copier.recipe.document import from_document, from_elsewhere, readable_document
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import all_changed
from lib_copier.steps.contents import content_faults, named_files
from lib_copier.steps.copy_out import MEMORY, copy_out
from lib_copier.steps.device import device_lock, executor_for
from lib_copier.steps.intake import forget_unnamed, with_files_inside
from lib_copier.steps.publish import RECIPE_KEY
from lib_copier.steps.remedies import advice
from lib_copier.steps.style_folder import take_in
from lib_copier.steps.view import ProjectView

PROJECT_FILE = "project.json"


class Project(ProjectView):
    """One project folder; make one with `create`, `open`, `duplicate`, `from_lora` or `from_elsewhere`."""

    forgotten: tuple[str, ...] = ()
    """What a recipe from elsewhere named by paths that mean nothing here."""

    @classmethod
    def create(cls, folder: Path, recipe: Recipe | None = None) -> Project:
        """Make a project in a new (or empty) folder.

        Files that the recipe names (pictures, style LoRAs) are copied in; the checkpoint stays where it is.

        Raises
        ------
        InputError
            Where the folder holds something already, its name cannot be used, or a named file is missing.
        """
        folder = free_place(folder)
        recipe = recipe or Recipe()
        if not recipe.get("project.name"):
            recipe = recipe.with_settings({"project.name": normal_name(folder.name)})
        folder.mkdir(parents=True, exist_ok=True)
        project = cls(folder, recipe)
        try:
            project.replace_recipe(recipe)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return project

    @classmethod
    def open(cls, folder: Path) -> Project:
        """The project in a folder.

        Raises
        ------
        InputError
            Where there is none, or a newer version wrote it.
        FaultsError
            Everything in its recipe that cannot be read.
        """
        folder = folder.absolute()
        if not (folder / PROJECT_FILE).is_file():
            raise InputError(f"{folder} holds no project.", "Make one with `new`, or check the path.")
        return cls(folder, _stored(folder))

    @classmethod
    def from_lora(cls, folder: Path, lora: Path, checkpoint: str = "") -> Project:
        """A new project with the recipe that a published LoRA carries; see `from_elsewhere`.

        `checkpoint` (or a later `set`) says where the base model lies here.

        Raises
        ------
        InputError
            Where the file carries no recipe.
        """
        from lib_copier.model_file.header import read_header

        text = read_header(lora).metadata.get(RECIPE_KEY)
        if not text:
            raise InputError(f"{lora.name} carries no recipe of Copier LoRA.", "Make the project with `new`.")
        document = parse_json(text, f"The recipe in {lora.name}", advice="Make the project with `new`.")
        return cls.from_elsewhere(folder, document, f"recipe in {lora.name}", checkpoint)

    @classmethod
    def from_elsewhere(cls, folder: Path, document: Any, subject: str, checkpoint: str = "") -> Project:
        """A new project with a recipe that came from elsewhere: no path in it leads to anything here.

        `forgotten` tells what has to be given again.
        """
        recipe, forgotten = from_elsewhere(document, subject)
        name = normal_name(folder.absolute().name)
        settings = {"project.checkpoint": checkpoint, "project.name": name}
        project = cls.create(folder, recipe.with_settings(settings))
        project.forgotten = forgotten
        return project

    def duplicate(self, folder: Path) -> Project:
        """A copy under another name, with everything made so far: nothing has to be made again."""
        folder = free_place(folder)
        part = folder.with_name(f".{secrets.token_hex(4)}.part")
        left_out = ("lock", "work", "log", "by-hand", ".old-*", "*.part", MEMORY, PROJECT_FILE)
        try:
            with held(self._folders.lock, f"The project {self.name}"):
                shutil.copytree(self.folder, part, ignore=shutil.ignore_patterns(*left_out))
            Project(part, self.recipe)._write(
                self.recipe.with_settings({"project.name": normal_name(folder.name)})
            )
            if folder.exists():
                folder.rmdir()
            move(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return Project.open(folder)

    def discard(self) -> None:
        """Take back a project that was just made and has no artifact yet."""
        if not self.store.folder.exists():
            shutil.rmtree(self.folder)

    def change(self, alter: Callable[[Recipe], Recipe]) -> Project:
        """Store what `alter` makes of the recipe as the disk has it now; every way to change ends here.

        Who changes it meanwhile waits, so that no change takes another back. Named files are copied in.
        Returns itself, with the stored recipe. Raises FaultsError where a newly named file cannot be used.
        """
        with locked(self._folders.recipe_lock):
            has_recipe = (self.folder / PROJECT_FILE).exists()
            before = _stored(self.folder) if has_recipe else self.recipe
            recipe = with_files_inside(
                alter(before), self.folder, self.lora_dirs, before if has_recipe else None
            )
            chosen = dict(named_files(recipe).items() - named_files(before).items())
            found = [fault for address, fault in content_faults(recipe, self.folder) if address in chosen]
            if found:
                raise FaultsError("files", found, "Nothing was changed.")
            self._write(recipe)
        return self

    def replace_recipe(self, recipe: Recipe) -> Project:
        """Give the project another recipe, whatever it had."""
        return self.change(lambda _: recipe)

    def set(self, values: Mapping[str, Any]) -> Project:
        """Change settings by address, all or none; see `steps.change` for the addresses.

        ``copier.rank`` · ``origins.NAME.prompt`` · ``edits.NAME.effects`` · ``edits.NAME.files.ORIGIN`` ·
        ``edits.NAME.edit_lora.rank`` (this edit alone) · ``preset`` · ``origins.NAME`` = None (remove).
        Values are texts as typed, or values of the option's own type.

        Raises
        ------
        FaultsError
            Every address and value that cannot be used; nothing is changed then.
        """
        return self.change(lambda recipe: all_changed(recipe, values))

    def forget_pictures(self) -> None:
        """Delete pictures that the recipe names no more; while a run may read them, they stay."""
        with locked(self._folders.recipe_lock):
            if self.running() is None:
                forget_unnamed(_stored(self.folder), self.folder)

    def _write(self, recipe: Recipe) -> None:
        write_json(self.folder / PROJECT_FILE, readable_document(recipe, f"recipe of {self.folder.name}"))
        self.recipe = recipe

    def run(
        self,
        until: Iterable[str] = (),
        *,
        force: Iterable[str] = (),
        listener: Listener | None = None,
        should_stop: Callable[[], str] = lambda: "",
        workers: Workers | None = None,
        elsewhere: Executor | None = None,
    ) -> Report:
        """Do what is not done, or what the steps `until` need: here, or where `elsewhere` brings commands.

        Raises
        ------
        FaultsError
            The recipe cannot be run; all its faults.
        HeldError
            Another process runs this project.
        ChildError, CancelledError, GoalError
            A step failed, was stopped, or missed its goal; what was done before is kept.
        """
        targets, forced = tuple(until), tuple(force)
        for step_id in (*targets, *forced):
            self._require(step_id)
        self._take_in_pictures()
        if found := self.faults():
            raise FaultsError(f"recipe of {self.name}", found, "Mend them with `set`, or in the wizard.")
        steps, device = self.plan(), str(self.recipe.get("project.device"))
        here = executor_for(device, self.recipe.whole("project.at_once"), workers, steps)
        runner = Runner(
            steps.up_to(targets) if targets else steps,
            self.store,
            self._folders,
            engine_version,
            listener=listener,
            should_stop=should_stop,
            device_lock=None if elsewhere else device_lock(device),
            executor=elsewhere or here,
            advise=lambda missed: advice(self.recipe, missed),
        )
        return runner.run(forced)

    def _take_in_pictures(self) -> None:
        """Copy a folder of training pictures in that lies outside yet; clicks go on meanwhile."""
        given = str(self.recipe.get("base.folder") or "")
        if not (self.recipe.get("base.train_style") and StepInput("pictures", path=given).is_outside):
            return
        inside = {"base.folder": take_in(self.folder / given, self.folder)}
        self.change(lambda now: now.with_settings(inside) if now.get("base.folder") == given else now)

    def rerun(self, step_id: str, **options: Any) -> Report:
        """Do one step again although it is done (and before it what it needs)."""
        return self.run((step_id,), force=(step_id,), **options)

    def run_arguments(self, until: Iterable[str] = (), force: Iterable[str] = ()) -> tuple[str, ...]:
        """Arguments for `Queue.submit`: the process that runs this project and outlives the page."""
        targets = [part for step_id in until for part in ("--until", step_id)]
        forced = [part for step_id in force for part in ("--force", step_id)]
        return ("-m", "lib_copier.steps", str(self.folder), *targets, *forced)

    def cancel(self, how: str = DISCARD) -> bool:
        """Ask whoever runs the project to stop (``save``: after saving the LoRA); False: nobody does."""
        if self.running() is None:
            return False
        ask_to_stop(self._folders.control, how)
        return True

    def lay_out(self, step_id: str) -> str:
        """A line that does the step's work by hand, its files and result under ``by-hand/STEP``.

        Raises
        ------
        InputError
            Where the step is unknown, has no command, or needs steps that are not done.
        """
        self._require(step_id)
        return lay_out(step_id, {status.id: status for status in self.status()}, self._folders)

    def prune(self) -> tuple[int, int]:
        """Delete what the recipe does not use; number of folders and bytes freed."""
        with held(self._folders.lock, f"The project {self.name}"):
            self.store.recover()
            doomed, freed = self.unused(), 0
            for folder in doomed:
                freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                shutil.rmtree(folder)
        return len(doomed), freed

    def export(self, edit: str, folder: Path) -> list[Path]:
        """Copy an edit's finished LoRA with preview, card and recipe into a folder; the copies.

        Raises
        ------
        InputError
            Where there is no such edit, or its publication is not done.
        """
        found = self.artifact(f"publish/{edit}")
        if found is None:
            raise InputError(f"{edit} is not published yet.", f"Run the project until publish/{edit}.")
        names = list(found.manifest["files"])
        require_whole(found, names, self.store, f"publish/{edit}")
        return copy_out(map(found.file, names), folder, self.folder)


def _stored(folder: Path) -> Recipe:
    found = read_json(folder / PROJECT_FILE, advice="Restore it from a copy, or make the project anew.")
    return from_document(found, f"recipe of {folder.name}")
