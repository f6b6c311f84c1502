"""Every task as the command that a user of sd-scripts would type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib_copier.engines.locate import OFFLINE, root
from lib_copier.engines.sd_scripts.algebra import AlgebraTask, algebra_arguments, summed_rank
from lib_copier.engines.sd_scripts.checkout import SDXL_TRAIN, TAG, TRAIN, Checkout
from lib_copier.engines.sd_scripts.checkpoint import real_facts
from lib_copier.engines.sd_scripts.dataset import dataset_of
from lib_copier.engines.sd_scripts.gpu import gpu_precision
from lib_copier.engines.sd_scripts.tokenizer import tokenizer_files
from lib_copier.engines.sd_scripts.train import (
    number,
    prompt_file,
    sample_prompts,
    steps_before,
    train_arguments,
    train_refusals,
)
from lib_copier.engines.state import engine_state, own_places
from lib_copier.engines.task import Command, MergeTask, TagTask, Task
from lib_copier.engines.vendor import TAG as PINNED
from lib_copier.errors import InputError
from lib_copier.model_file.checkpoint import PREDICTION_KEY
from lib_copier.model_file.families import SDXL
from lib_copier.settings.training import TrainTask

_LOG_COLUMNS = "160"
"""The scripts break their log lines at the terminal's width, which a child has none of."""


class SdScriptsEngine:
    """Trains and merges with kohya's sd-scripts.

    Parameters
    ----------
    checkout:
        Where the scripts and their Python are. None: the vendored or named one, found when it is needed.
    """

    name = "sd-scripts"

    def __init__(self, checkout: Checkout | None = None) -> None:
        self._checkout = checkout

    @property
    def checkout(self) -> Checkout:
        """Raises InputError where sd-scripts is not installed."""
        if self._checkout is None:
            self._checkout = _installed()
        return self._checkout

    def version(self) -> str:
        """The commit that is checked out."""
        return self.checkout.version()

    def refusals(self, task: Task) -> Sequence[str]:
        """Why sd-scripts cannot do the task: its limits, files it cannot load, options it does not have."""
        try:
            found = _refusals(task)
            if not found:
                # Nothing is written by this: it shows whether the checkout takes these options.
                self.command(task, task.output.parent)
        except InputError as error:
            return [str(error)]
        return found

    def command(self, task: Task, work_dir: Path) -> Command:
        """The command that does the task.

        Raises
        ------
        InputError
            The task's files cannot be used, or the checkout has no such script or option.
        """
        if isinstance(task, TrainTask):
            return self._train(task, work_dir)
        if isinstance(task, TagTask):
            return self._tag(task, work_dir)
        return self._algebra(task)

    def _train(self, task: TrainTask, work_dir: Path) -> Command:
        facts = real_facts(task.checkpoint, task.prediction)
        dataset = dataset_of(task, work_dir, facts.resolution)
        arguments = train_arguments(
            task,
            facts,
            dataset,
            work_dir=work_dir,
            mixed_precision=_mixed_precision(task.precision, task.device),
        )
        files = [*dataset.files, *tokenizer_files(facts.family, work_dir / "tokenizers")]
        if task.sample_every > 0 and task.sample_prompts:
            files.append((prompt_file(work_dir), sample_prompts(task, dataset)))
        made = work_dir / f"{task.output.stem}.safetensors"
        return self._command(
            SDXL_TRAIN if facts.family is SDXL else TRAIN,
            arguments,
            env=_visible_device(task.device),
            files=tuple(files),
            copies=dataset.copies,
            moves=((made, task.output),),
            metadata=task.metadata,
            bar="steps",
            steps_before=steps_before(task, work_dir),
            notes=tuple(task.notes()),
            samples=work_dir / "sample",
        )

    def _tag(self, task: TagTask, work_dir: Path) -> Command:
        folder = work_dir / "tagger"
        model = Path(task.model)
        if model.is_dir():
            place = ["--model_dir", str(model.absolute().parent), "--repo_id", model.name]
        else:
            place = ["--model_dir", str(root() / "vendor" / "wd14_tagger_model"), "--repo_id", task.model]
        arguments = [str(folder), *place, "--onnx", "--remove_underscore", "--thresh", number(task.threshold)]
        return self._command(
            TAG,
            [*arguments, "--caption_extension", ".txt", "--batch_size", "1"],
            copies=((task.picture, folder / f"picture{task.picture.suffix.lower()}"),),
            moves=((folder / "picture.txt", task.output),),
            may_fetch=True,
        )

    def _algebra(self, task: AlgebraTask) -> Command:
        device = task.device
        if device == "auto":
            device = "cpu" if gpu_precision() == "no" else "cuda"
        script, arguments = algebra_arguments(task, device)
        if not isinstance(task, MergeTask):
            return self._command(script, arguments)
        if task.checkpoint is None:
            # The script notes the first file's rank, though the ranks add up.
            notes = (("ss_network_dim", str(summed_rank(task))),)
        elif real_facts(task.checkpoint, task.prediction).prediction == "v_prediction":
            # It drops the markers, and knows no yaml.
            notes = ((PREDICTION_KEY, "v"),)
        else:
            return self._command(script, arguments)
        return self._command(script, arguments, moves=((task.output, task.output),), metadata=notes)

    def _command(
        self,
        script: str,
        arguments: list[str],
        *,
        env: tuple[tuple[str, str], ...] = (),
        files: tuple[tuple[Path, str], ...] = (),
        copies: tuple[tuple[Path, Path], ...] = (),
        moves: tuple[tuple[Path, Path], ...] = (),
        metadata: tuple[tuple[str, str], ...] = (),
        bar: str = "",
        steps_before: int = 0,
        notes: tuple[str, ...] = (),
        samples: Path | None = None,
        may_fetch: bool = False,
    ) -> Command:
        """The script by plain Python: `accelerate launch` would follow the user's own multi-GPU settings."""
        checkout = self.checkout
        unknown = checkout.unknown_options(script, arguments)
        if unknown:
            raise InputError(
                f"{script} of sd-scripts {checkout.version()[:12]} has no option {', '.join(unknown)}.",
                f"Version {PINNED}, which `python run.py engine install` fetches, takes this command.",
            )
        base = (
            # The scripts in networks/ import the checkout's own package; a WebUI's path must not be there.
            ("PYTHONPATH", str(checkout.folder)),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONUTF8", "1"),
            ("COLUMNS", _LOG_COLUMNS),
            *(() if may_fetch else OFFLINE),
        )
        return Command(
            argv=(str(checkout.python), str(checkout.script(script)), *arguments),
            cwd=checkout.folder,
            env=(*base, *env),
            files=files,
            copies=copies,
            moves=moves,
            metadata=metadata,
            bar=bar,
            steps_before=steps_before,
            notes=notes,
            samples=samples,
        )


def _installed() -> Checkout:
    """The checkout and environment that `engine install` made, or that the environment variables name."""
    places = own_places()
    checkout = Checkout(places.folder(), places.python())
    if not (checkout.folder / TRAIN).is_file() or not checkout.python.is_file():
        state = engine_state(places)
        raise InputError(f"sd-scripts cannot be used: {state.why}", "Or choose the embedded engine.")
    return checkout


def _refusals(task: Task) -> list[str]:
    if isinstance(task, TrainTask):
        return train_refusals(task, real_facts(task.checkpoint, task.prediction))
    return []


def _mixed_precision(precision: str, device: str) -> str:
    """What ``--mixed_precision`` says: on a processor, always full precision."""
    if precision == "auto":
        return "no" if device == "cpu" else gpu_precision()
    return "no" if precision == "fp32" else precision


def _visible_device(device: str) -> tuple[tuple[str, str], ...]:
    """sd-scripts takes the first GPU that it sees, so it is shown only the wanted one."""
    if device == "cpu":
        return (("CUDA_VISIBLE_DEVICES", "-1"),)
    kind, _, index = device.partition(":")
    return (("CUDA_VISIBLE_DEVICES", index),) if kind == "cuda" and index else ()
