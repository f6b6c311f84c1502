"""The training loop: prepare once, then step after step until done, copied, stopped or no longer finite."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lib_copier.errors import CancelledError, CopierError
from lib_copier.image.files import write_png
from lib_copier.image.similarity import psnr
from lib_copier.models.latents import to_images
from lib_copier.train.config import TrainConfig
from lib_copier.train.control import StopRequests
from lib_copier.train.feed import Feed
from lib_copier.train.graph import RecordedStep
from lib_copier.train.optimizer import averaged, lr_factor
from lib_copier.train.output import write_result
from lib_copier.train.prepare import Prepared, prepare
from lib_copier.train.preview import UNSEEN_PROMPTS, Painter
from lib_copier.train.progress import Progress
from lib_copier.train.readback import FinishedStep, Readback
from lib_copier.train.state import StateKeeper, restore
from lib_copier.train.step import StepResult
from lib_copier.training import can_go_on

LAST_GOOD = "last-good.safetensors"

_MOST_SKIPPED = 50
"""fp16 may skip updates while its loss scale settles; more than this in a row means it never will."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended: ``finished``, ``copied`` (early) or ``saved`` (stopped by the user, LoRA written)."""

    output: Path
    steps: int
    ended: str
    seconds: float
    final_loss: float
    copied_psnr: float | None = None


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
    first_step = 0
    if saved is not None:
        restore(run.step, saved)
        first_step = saved.step

    progress = Progress(config.work_dir / "metrics.jsonl", first_step=first_step, total=config.last_step)
    watch = _Watch(config, progress, is_scaled=run.step.updater.scale.is_dynamic)
    try:
        done, ended, similarity = _run_steps(config, run, keeper, progress, watch, stop, first_step)
    except NotFiniteError:
        rescued = dataclasses.replace(config, output=config.work_dir / LAST_GOOD)
        with averaged(run.step.updater.optimizer):
            write_result(rescued, run.step.network, run.facts(watch.last_step, started_at))
        raise
    finally:
        progress.close()
    with averaged(run.step.updater.optimizer):
        write_result(config, run.step.network, run.facts(done, started_at))
    if config.keep_state and can_go_on(config.lr_scheduler):
        keeper.save(done, run.step)
    else:
        keeper.forget()
    return TrainResult(config.output, done, ended, keeper.seconds(), watch.last_loss, similarity)


def _run_steps(
    config: TrainConfig,
    run: Prepared,
    keeper: StateKeeper,
    progress: Progress,
    watch: _Watch,
    stop: StopRequests,
    first_step: int,
) -> tuple[int, str, float | None]:
    """The loop: returns the number of finished steps, how it ended, and the last similarity found."""
    stepper = make_stepper(config, run, progress.log)
    readback = Readback(run.device)
    done, similarity = first_step, None
    while done < config.last_step:
        wish = stop.wish()
        if wish is not None:
            watch(readback.drain())
            _leave(wish, keeper, done, run)
            return done, "saved", similarity
        result = stepper(done)
        done += 1
        watch(readback.push(done, result))
        if run.painter and config.sample_prompts and _is_due(done, config.sample_every):
            _paint_samples(config, run, run.painter, done, progress)
        if run.painter and config.copied_psnr and _is_due(done, config.copied_every):
            similarity = _check_copy(run, run.painter, config.copied_psnr, done, progress)
            if similarity >= config.copied_psnr:
                watch(readback.drain())
                return done, "copied", similarity
        if _is_due(done, config.state_every) and done < config.last_step:
            watch(readback.drain())
            keeper.save(done, run.step)
    watch(readback.drain())
    return done, "finished", similarity


def make_stepper(
    config: TrainConfig, run: Prepared, log: Callable[[str], None] = lambda text: None
) -> Callable[[int], StepResult]:
    """What does a step by its number, counted from 0: learning rate, batch, and the step itself."""
    step = RecordedStep(run.step, log) if _is_recorded(config, run) else run.step
    feed = Feed(config, run)

    def do(number: int) -> StepResult:
        _set_learning_rate(run, _factor(config, number))
        return step(feed.batch(number))

    return do


class _Watch:
    """Follows the numbers of finished steps: reports them, and stops a run that went wrong."""

    def __init__(self, config: TrainConfig, progress: Progress, *, is_scaled: bool) -> None:
        self.last_loss = math.nan
        self.last_step = 0
        self._config = config
        self._progress = progress
        self._is_scaled = is_scaled
        self._skipped = 0

    def __call__(self, finished: list[FinishedStep]) -> None:
        for one in finished:
            self._skipped = self._skipped + 1 if one.was_skipped else 0
            is_lost = not math.isfinite(one.loss) or (one.was_skipped and not self._is_scaled)
            if is_lost or self._skipped > _MOST_SKIPPED:
                raise self._error(one.step)
            self.last_loss, self.last_step = one.loss, one.step
            factor = _factor(self._config, one.step - 1)
            self._progress.step_done(one.step, one.loss, self._config.learning_rate * factor)

    def _error(self, step: int) -> NotFiniteError:
        precision = "use bf16 or fp32 in place of fp16, " if self._is_scaled else ""
        return NotFiniteError(
            f"The loss became NaN at step {step} (it was {self.last_loss:.4g} before).",
            f"Lower learning_rate (now {self._config.learning_rate:g}), {precision}or check checkpoint and "
            f"base_loras; the last good LoRA is {self._config.work_dir / LAST_GOOD}.",
        )


def _leave(wish: str, keeper: StateKeeper, done: int, run: Prepared) -> None:
    """Do what the user wished: ``save`` lets the run end as it is, the others end it without a LoRA."""
    if wish == "pause":
        keeper.save(done, run.step)
        raise CancelledError("Stopped; the state is kept.", "Run the same command again to go on.")
    if wish == "discard":
        keeper.forget()
        raise CancelledError("Stopped; nothing was kept.")


def _is_due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _factor(config: TrainConfig, step: int) -> float:
    return lr_factor(config.lr_scheduler, step, config.steps, config.own_warmup)


def _set_learning_rate(run: Prepared, factor: float) -> None:
    for group in run.step.updater.optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(group["base_lr"] * factor)
        else:
            group["lr"] = group["base_lr"] * factor


def _is_recorded(config: TrainConfig, run: Prepared) -> bool:
    """Whether to run the step as a CUDA graph; only AdamW's update can be recorded."""
    can = run.device.type == "cuda" and config.optimizer == "adamw"
    if config.cuda_graph == "on" and not can:
        raise CopierError("cuda_graph is on, but needs a CUDA device and the optimizer adamw.", 'Use "auto".')
    return can and config.cuda_graph != "off"


def _paint_samples(
    config: TrainConfig, run: Prepared, painter: Painter, done: int, progress: Progress
) -> None:
    """Write one picture a sample prompt."""
    prompts = config.own_sample_prompts
    for place, (prompt, picture) in enumerate(
        zip(prompts, to_images(_painted(run, painter, prompts)), strict=True)
    ):
        path = config.work_dir / "samples" / f"step-{done:06d}-{place}.png"
        write_png(picture, path, {"parameters": prompt})
        progress.sample(path, done, prompt)
    progress.paused()


def _check_copy(run: Prepared, painter: Painter, target: float, done: int, progress: Progress) -> float:
    """Similarity (dB) of the least similar picture of unseen prompts to the nearest training picture."""
    painted = _painted(run, painter, UNSEEN_PROMPTS)
    round_trips = [one.round_trip for one in run.pictures if one.round_trip is not None]
    ceilings = [one for one in round_trips if one.shape[1:] == painted.shape[1:]]
    found = [max(psnr(one.numpy(), other[0].numpy(), 2.0) for other in ceilings) for one in painted]
    progress.copied(done, found, target)
    progress.paused()
    return min(found)


def _painted(run: Prepared, painter: Painter, prompts: Sequence[str]) -> torch.Tensor:
    """Pictures (N, 3, H, W) of prompts by the model as it is, in the first picture's size."""
    first = run.pictures[0]
    rows = [run.prompt_rows[prompt] for prompt in prompts]
    with averaged(run.step.updater.optimizer):
        run.step.network.publish()
        return painter.paint(rows, tuple(first.latents.shape), first.time_ids)
