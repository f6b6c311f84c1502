"""The embedded engine: every task as a command of this package's own parts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier.engines.locate import OFFLINE, child_environment, python, root
from lib_copier.engines.task import Command, ExtractTask, MergeTask, ResizeTask, SvdMergeTask, TagTask, Task
from lib_copier.settings.training import TrainTask, WeightedLora

RESULTS_VERSION = "1"
"""Part of every key: raised when the same task begins to give another result."""


class EmbeddedEngine:
    """Trains and merges with `lib_copier.train` and `lib_copier.lora`."""

    name = "embedded"

    def refusals(self, task: Task) -> Sequence[str]:
        """Nothing is refused here: the parts themselves check what they are given."""
        return ()

    def version(self) -> str:
        """Changes when results change, not with every release."""
        return RESULTS_VERSION

    def command(self, task: Task, work_dir: Path) -> Command:
        """The command that does the task."""
        if isinstance(task, TrainTask):
            return _train(task, work_dir)
        # A tagger by its name on the hub goes online, which a worker never does.
        may_fetch = isinstance(task, TagTask) and not Path(task.model).is_dir()
        return module_command(*_arguments(task), may_fetch=may_fetch)


def module_command(
    part: str, *arguments: str, files: tuple[tuple[Path, str], ...] = (), may_fetch: bool = False
) -> Command:
    """A command of one of our parts: ``python -m lib_copier.PART ARGUMENTS``; offline unless it may fetch."""
    return Command(
        (str(python()), "-m", f"lib_copier.{part}", *arguments),
        cwd=root(),
        env=(*child_environment(), *(() if may_fetch else OFFLINE)),
        job=None if may_fetch else (part, *arguments),
        files=files,
    )


def job_command(part: str, job: Mapping[str, Any], path: Path) -> Command:
    """A command that reads its work from a JSON file."""
    return module_command(
        part, str(path), files=((path, json.dumps(job, indent=1, ensure_ascii=False) + "\n"),)
    )


def _train(task: TrainTask, work_dir: Path) -> Command:
    config = {field.name: _plain(getattr(task, field.name)) for field in dataclasses.fields(task)}
    config["metadata"] = dict(task.metadata)
    config["work_dir"] = str(work_dir)
    return job_command("train", config, work_dir / "train.json")


def _plain(value: Any) -> Any:
    """Tasks as JSON: paths as texts, pictures and LoRAs as objects."""
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _arguments(task: Task) -> list[str]:
    """Part and arguments of the tasks that are plain commands; flag names are sd-scripts' own."""
    if isinstance(task, MergeTask):
        model = ["--sd_model", str(task.checkpoint)] if task.checkpoint else []
        if task.checkpoint and task.prediction == "v_prediction":
            model.append("--v_parameterization")
        return [
            "lora",
            "merge",
            *model,
            *_weighted(task.loras),
            *_saving(task),
            "--precision",
            task.precision,
        ]
    if isinstance(task, SvdMergeTask):
        rank = ["--new_rank", str(task.new_rank), *_optional("--new_conv_rank", task.new_conv_rank)]
        arguments = [*_weighted(task.loras), *rank, *_saving(task), "--precision", task.precision]
        return ["lora", "svd-merge", *arguments]
    if isinstance(task, ResizeTask):
        rank = ["--new_rank", str(task.new_rank), *_optional("--new_conv_rank", task.new_conv_rank)]
        dynamic = [
            *_optional("--dynamic_method", task.dynamic_method),
            *_optional("--dynamic_param", task.dynamic_param if task.dynamic_method else None),
        ]
        return ["lora", "resize", "--model", str(task.lora), *rank, *dynamic, *_saving(task)]
    if isinstance(task, ExtractTask):
        models = ["--model_org", str(task.original), "--model_tuned", str(task.tuned)]
        rank = ["--dim", str(task.rank), *_optional("--conv_dim", task.conv_rank)]
        return ["lora", "extract", *models, *rank, "--min_diff", repr(task.min_diff), *_saving(task)]
    if isinstance(task, TagTask):
        arguments = ["--model", task.model, "--threshold", repr(task.threshold)]
        return ["caption", str(task.picture), str(task.output), *arguments]
    raise TypeError(f"{type(task).__name__} is no task of this engine")


def _weighted(loras: Sequence[WeightedLora]) -> list[str]:
    paths, ratios = [str(lora.path) for lora in loras], [repr(lora.weight) for lora in loras]
    return ["--models", *paths, "--ratios", *ratios]


def _saving(task: MergeTask | SvdMergeTask | ResizeTask | ExtractTask) -> list[str]:
    arguments = ["--save_to", str(task.output), "--save_precision", task.save_precision]
    return [*arguments, "--device", task.device]


def _optional(flag: str, value: object) -> list[str]:
    return [] if value is None else [flag, str(value)]
