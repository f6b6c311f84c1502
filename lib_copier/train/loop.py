"""The training loop: prepare once, then step after step until done, at its goal, stopped or lost."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lib_copier.errors import CancelledError, CopierError
from lib_copier.image.files import write_png
from lib_copier.models.latents import to_images
from lib_copier.settings.training import can_go_on
from lib_copier.train.config import TrainConfig
from lib_copier.train.control import StopRequests
from lib_copier.train.course import PlainCourse, SteeredCourse
from lib_copier.train.feed import Feed
from lib_copier.train.goal import HeldLoss
from lib_copier.train.graph import RecordedStep
from lib_copier.train.output import write_result
from lib_copier.train.prepare import Prepared, prepare
from lib_copier.train.preview import Painter
from lib_copier.train.progress import Progress
from lib_copier.train.readback import FinishedStep, Readback
from lib_copier.train.state import StateKeeper, restore
from lib_copier.train.steer import Decision
from lib_copier.train.step import StepResult

LAST_GOOD = "last-good.safetensors"

_MOST_SKIPPED = 50
"""fp16 may skip updates while its loss scale settles; more than this in a row means it never will."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended: ``finished``, ``reached`` (its goal), ``spent`` (the goal came no nearer) or ``saved``
    (stopped by the user, LoRA written); `course` is what is told of a rate that was found."""

    output: Path
    steps: int
    ended: str
    seconds: float
    final_loss: float
    course: Mapping[str, Any]


class NotFiniteError(CopierError):
    """The loss became NaN or infinite; the weights are still those of the last good step."""


def train(config: TrainConfig, *, stop: StopRequests, log: Callable[[str], None]) -> TrainResult:
    """Run a training from its configuration to the written LoRA.

    Raises
    ------
    InputError
        A file cannot be used.
    CancelledError
        The user stopped it without a LoRA.
    NotFiniteError
        The loss is no longer finite; the last good LoRA lies in the work folder.
    """
    started_at = time.time()
    for note in config.notes():
        log(note)
    config.work_dir.mkdir(parents=True, exist_ok=True)
    keeper = StateKeeper(config)
    saved = keeper.find(log)
    if saved is not None:
        # Sums that are split over another number of threads round differently.
        torch.set_num_threads(saved.threads)
    run = prepare(config, log=log)
    first_step = saved.step if saved is not None else 0
    progress = Progress(config.work_dir / "metrics.jsonl", first_step=first_step, total=config.last_step)
    course = SteeredCourse(config, run, progress) if config.is_steered else PlainCourse(config, run)
    if saved is not None:
        restore(run.step, saved)
        course.restore(saved.content["course"])
    watch = _Watch(config, progress, course, is_scaled=run.step.updater.scale.is_dynamic)
    try:
        done, ended = _run_steps(config, run, keeper, progress, watch, course, stop, first_step)
    except NotFiniteError:
        rescued = dataclasses.replace(config, output=config.work_dir / LAST_GOOD)
        with course.kept():
            write_result(rescued, run.step.network, run.facts(watch.last_step, started_at))
        raise
    finally:
        progress.close()
    told = course.told()
    # The file tells of the rate that was found, not of the one at which the search for it began.
    written = dataclasses.replace(config, learning_rate=told.get("learning_rate", config.learning_rate))
    with course.kept():
        write_result(written, run.step.network, run.facts(done, started_at))
    if config.keep_state and can_go_on(config.lr_scheduler):
        keeper.save(done, run.step, course.stored())
    else:
        keeper.forget()
    return TrainResult(config.output, done, ended, keeper.seconds(), watch.last_loss, told)


def _run_steps(
    config: TrainConfig,
    run: Prepared,
    keeper: StateKeeper,
    progress: Progress,
    watch: _Watch,
    course: PlainCourse,
    stop: StopRequests,
    first_step: int,
) -> tuple[int, str]:
    """The loop: returns the number of finished steps, and how it ended."""
    take_step = make_stepper(config, run, progress.log)
    readback = Readback(run.device)
    if first_step == 0 and isinstance(course, SteeredCourse) and config.find_rate:
        course.begin(_heeding(stop, take_step), HeldLoss(config, run))
    done = first_step
    while done < config.last_step:
        wish = stop.wish()
        if wish is not None:
            watch(readback.drain())
            _leave(wish, keeper, done, run, course)
            return done, "saved"
        result = take_step(done, course.rate(done))
        done += 1
        decisions = (course.took(done), watch(readback.push(done, result)))
        if run.painter and config.sample_prompts and _is_due(done, config.sample_every):
            _paint_samples(config, run, run.painter, done, progress, course)
        for ended in ("reached", "spent"):
            if ended in decisions:
                watch(readback.drain())
                return done, ended
        if _is_due(done, config.state_every) and done < config.last_step:
            watch(readback.drain())
            keeper.save(done, run.step, course.stored())
    watch(readback.drain())
    return done, "finished"


def make_stepper(
    config: TrainConfig, run: Prepared, log: Callable[[str], None] = lambda text: None
) -> Callable[[int, float], StepResult]:
    """What does a step, by its number (counted from 0) and learning rate."""
    step = RecordedStep(run.step, log) if _is_recorded(config, run) else run.step
    feed = Feed(config, run)

    def do(number: int, rate: float) -> StepResult:
        _set_learning_rate(run, rate, config.learning_rate)
        return step(feed.batch(number))

    return do


class _Watch:
    """Follows the numbers of finished steps: reports them, and stops a run that went wrong."""

    def __init__(
        self, config: TrainConfig, progress: Progress, course: PlainCourse, *, is_scaled: bool
    ) -> None:
        self.last_loss = math.nan
        self.last_step = 0
        self._config = config
        self._progress = progress
        self._course = course
        self._is_scaled = is_scaled
        self._skipped = 0

    def __call__(self, finished: list[FinishedStep]) -> Decision:
        """Take note of them; what the course has decided on the last of them."""
        decision: Decision = "on"
        for one in finished:
            self._skipped = self._skipped + 1 if one.was_skipped else 0
            is_lost = not math.isfinite(one.loss) or (one.was_skipped and not self._is_scaled)
            decision = self._course.lost(one.step, math.nan if is_lost else one.loss)
            if decision == "on" and (is_lost or self._skipped > _MOST_SKIPPED):
                raise self._error(one.step)
            if decision != "on":
                continue
            self.last_loss, self.last_step = one.loss, one.step
            self._progress.step_done(one.step, one.loss, self._course.rate(one.step - 1))
        return decision

    def _error(self, step: int) -> NotFiniteError:
        precision = "use bf16 or fp32 in place of fp16, " if self._is_scaled else ""
        return NotFiniteError(
            f"The loss became NaN at step {step} (it was {self.last_loss:.4g} before).",
            f"Lower learning_rate (now {self._config.learning_rate:g}), {precision}or check checkpoint and "
            f"base_loras; the last good LoRA is {self._config.work_dir / LAST_GOOD}.",
        )


def _heeding(stop: StopRequests, take_step: Callable[[int, float], Any]) -> Callable[[int, float], Any]:
    """The steps of a search, between which the user may stop: it is begun anew the next time."""

    def take(number: int, rate: float) -> Any:
        if stop.wish() in ("pause", "discard"):
            raise CancelledError("Stopped while finding the learning rate.", "Run the same command again.")
        return take_step(number, rate)

    return take


def _leave(wish: str, keeper: StateKeeper, done: int, run: Prepared, course: PlainCourse) -> None:
    """Do what the user wished: ``save`` lets the run end as it is, the others end it without a LoRA."""
    if wish == "pause":
        keeper.save(done, run.step, course.stored())
        raise CancelledError("Stopped; the state is kept.", "Run the same command again to go on.")
    if wish == "discard":
        keeper.forget()
        raise CancelledError("Stopped; nothing was kept.")


def _is_due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _set_learning_rate(run: Prepared, rate: float, typed: float) -> None:
    """Give each group its rate: the text encoder's stays in proportion to the one that is typed."""
    for group in run.step.updater.optimizer.param_groups:
        own = rate * (group["base_lr"] / typed)
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


def _is_recorded(config: TrainConfig, run: Prepared) -> bool:
    """Whether to run the step as a CUDA graph; only AdamW's update can be recorded."""
    can = run.device.type == "cuda" and config.optimizer == "adamw"
    if config.cuda_graph == "on" and not can:
        raise CopierError("cuda_graph is on, but needs a CUDA device and the optimizer adamw.", 'Use "auto".')
    return can and config.cuda_graph != "off"


def _paint_samples(
    config: TrainConfig, run: Prepared, painter: Painter, done: int, progress: Progress, course: PlainCourse
) -> None:
    """Write one picture a sample prompt, in the first picture's size."""
    prompts, first = config.own_sample_prompts, run.pictures[0]
    rows = [run.prompt_rows[prompt] for prompt in prompts]
    with course.kept():
        run.step.network.publish()
        painted = painter.paint(rows, tuple(first.latents.shape), first.time_ids)
    for place, (prompt, picture) in enumerate(zip(prompts, to_images(painted), strict=True)):
        path = config.work_dir / "samples" / f"step-{done:06d}-{place}.png"
        write_png(picture, path, {"parameters": prompt})
        progress.sample(path, done, prompt)
    progress.paused()
