"""A training task as a command line of `train_network.py` or `sdxl_train_network.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from lib_copier.engines.sd_scripts.dataset import Dataset, training_length
from lib_copier.errors import InputError
from lib_copier.model_file.checkpoint import CheckpointFacts
from lib_copier.model_file.families import SD2, SDXL
from lib_copier.settings.optimizers import OPTIMIZERS, optimizer_arguments
from lib_copier.settings.training import TrainTask

_SAMPLE_STEPS = 20
_SEED_LIMIT = 1 << 32
"""numpy's generators, which sd-scripts seeds too, take no more."""

_STATE = re.compile(r"-step(\d{8})-state$")


def train_arguments(
    task: TrainTask, facts: CheckpointFacts, dataset: Dataset, *, work_dir: Path, mixed_precision: str
) -> list[str]:
    """Every argument; `mixed_precision` is ``no``, ``fp16`` or ``bf16``."""
    length = training_length(task.last_step, len(task.pictures), task.batch_size)
    arguments = [
        *_model(task, facts),
        *("--dataset_config", str(dataset.config)),
        *("--output_dir", str(work_dir), "--output_name", task.output.stem, "--save_model_as", "safetensors"),
        *("--save_precision", task.save_precision),
        *_network(task),
        *_optimizer(task),
        *length.arguments,
        *_noise(task, facts),
        *("--mixed_precision", mixed_precision, "--seed", str(task.seed)),
        # One still picture: its latents are made once, and no worker process has anything to load.
        *("--cache_latents", "--max_data_loader_n_workers", "0", "--sdpa"),
        *("--tokenizer_cache_dir", str(work_dir / "tokenizers")),
    ]
    if facts.family is SDXL:
        arguments.append("--no_half_vae")
    if dataset.has_masks:
        arguments.append("--masked_loss")
    if task.gradient_checkpointing:
        arguments.append("--gradient_checkpointing")
    if task.clip_skip > 1:
        arguments += ["--clip_skip", str(task.clip_skip)]
    return [*arguments, *_states(task, work_dir), *_samples(task, work_dir)]


def train_refusals(task: TrainTask, facts: CheckpointFacts) -> list[str]:
    """What the task asks that sd-scripts cannot do."""
    found = []
    if task.layers:
        found.append("sd-scripts cannot choose layers by name: empty the layer list, or train embedded.")
    if task.find_rate:
        found.append("sd-scripts cannot find a learning rate: switch that off, or train embedded.")
    if task.turns:
        found.append("sd-scripts cannot follow a training that found its own rate: train both embedded.")
    if task.copied_psnr is not None:
        found.append(
            "sd-scripts cannot stop when the picture is copied: switch that off (it then trains all "
            f"{task.steps} steps), or train embedded."
        )
    if task.last_step < task.steps and task.lr_scheduler != "constant":
        found.append(
            f"sd-scripts cannot end a {task.lr_scheduler} schedule of {task.steps} steps after "
            f"{task.last_step}: set the schedule to constant, or train embedded."
        )
    if task.timestep_sampling != "uniform":
        found.append("sd-scripts draws time steps uniformly: set the time step sampling to uniform.")
    if task.other_prompts and task.other_prompt_share:
        found.append(
            "sd-scripts learns a picture with its own caption alone: set the share of other prompts to 0, or "
            "train embedded."
        )
    if any(picture.origin is not None for picture in task.pictures):
        found.append(
            "sd-scripts cannot learn against what the copier prints: switch that off, or train embedded."
        )
    if facts.prediction is None:
        found.append(
            f"Nothing in {task.checkpoint.name} tells whether this {facts.family.label} model predicts noise "
            "or velocity: set the prediction type."
        )
    if task.clip_skip > 1 and facts.family is SDXL:
        found.append("sd-scripts knows no clip skip for SDXL: set it to 1.")
    if task.output.suffix != ".safetensors":
        found.append(f"sd-scripts names its result .safetensors, not {task.output.name}.")
    return found


def sample_prompts(task: TrainTask, dataset: Dataset) -> str:
    """The prompt file: JSON, because in a text file ``--`` and ``#`` in a prompt would be read as options."""
    return json.dumps(
        [
            {
                "prompt": prompt,
                "width": dataset.width,
                "height": dataset.height,
                "sample_steps": _SAMPLE_STEPS,
                "seed": (task.seed + index) % _SEED_LIMIT,
            }
            for index, prompt in enumerate(task.own_sample_prompts)
        ],
        ensure_ascii=False,
        indent=1,
    )


def prompt_file(work_dir: Path) -> Path:
    """Where the sample prompts stand."""
    return work_dir / "sample_prompts.json"


def latest_state(work_dir: Path, name: str, below_step: int) -> Path | None:
    """The newest whole state from before `below_step`: from one of the last step nothing could go on."""
    found: list[tuple[int, Path]] = []
    for folder in work_dir.glob("*-state") if work_dir.is_dir() else ():
        match = _STATE.search(folder.name)
        # The random states are written last: a folder without them was broken off.
        is_whole = (folder / "train_state.json").is_file() and (folder / "random_states_0.pkl").is_file()
        if match and folder.name.startswith(f"{name}-step") and is_whole and int(match[1]) < below_step:
            found.append((int(match[1]), folder))
    return max(found)[1] if found else None


def steps_before(task: TrainTask, work_dir: Path) -> int:
    """How many steps the state that training goes on from has behind it; 0 where it begins."""
    state = latest_state(work_dir, task.output.stem, task.last_step)
    found = _STATE.search(state.name) if state else None
    return int(found[1]) if found else 0


def number(value: float) -> str:
    """A number without exponent: argparse takes -1e-05 for an option."""
    text = format(Decimal(repr(float(value))), "f")
    return text.removesuffix(".0")


def _model(task: TrainTask, facts: CheckpointFacts) -> list[str]:
    arguments = ["--pretrained_model_name_or_path", str(task.checkpoint)]
    if facts.family is SD2:
        arguments.append("--v2")
    if facts.prediction == "v_prediction":
        arguments.append("--v_parameterization")
    if task.vae is not None:
        arguments += ["--vae", str(task.vae)]
    if task.base_loras:
        arguments += ["--base_weights", *(str(lora.path) for lora in task.base_loras)]
        arguments += ["--base_weights_multiplier", *(number(lora.weight) for lora in task.base_loras)]
    return arguments


def _network(task: TrainTask) -> list[str]:
    arguments = ["--network_module", "networks.lora", "--network_dim", str(task.rank)]
    arguments += ["--network_alpha", number(task.alpha)]
    if task.conv_rank is not None:
        conv = (f"conv_dim={task.conv_rank}", f"conv_alpha={number(task.own_conv_alpha)}")
        arguments += ["--network_args", *conv]
    return arguments if task.train_text_encoder else [*arguments, "--network_train_unet_only"]


def _optimizer(task: TrainTask) -> list[str]:
    """sd-scripts imports whatever module it is given, so that nothing but a listed optimiser gets there."""
    try:
        options = optimizer_arguments(task.optimizer, task.optimizer_args)
    except ValueError as error:
        raise InputError(f"The optimiser cannot be used: {error}.", "Choose a listed one.") from None
    arguments = ["--optimizer_type", OPTIMIZERS[task.optimizer].sd_scripts]
    arguments += ["--learning_rate", number(task.learning_rate)]
    if task.text_encoder_lr is not None and task.train_text_encoder:
        arguments += ["--text_encoder_lr", number(task.text_encoder_lr)]
    if options:
        arguments += ["--optimizer_args", *(f"{name}={value!r}" for name, value in options.items())]
    if task.max_grad_norm != 1.0:
        arguments += ["--max_grad_norm", number(task.max_grad_norm)]
    # The plain constant schedule knows no warm-up.
    is_plain = task.lr_scheduler == "constant" and task.own_warmup > 0
    arguments += ["--lr_scheduler", "constant_with_warmup" if is_plain else task.lr_scheduler]
    return [*arguments, "--lr_warmup_steps", str(task.own_warmup)] if task.own_warmup else arguments


def _noise(task: TrainTask, facts: CheckpointFacts) -> list[str]:
    arguments = []
    if task.min_snr_gamma is not None:
        arguments += ["--min_snr_gamma", number(task.min_snr_gamma)]
    if task.timestep_min > 0:
        arguments += ["--min_timestep", str(task.timestep_min)]
    if task.timestep_max < 1000:
        arguments += ["--max_timestep", str(task.timestep_max)]
    return [*arguments, "--zero_terminal_snr"] if facts.zero_terminal_snr else arguments


def _states(task: TrainTask, work_dir: Path) -> list[str]:
    arguments = []
    if task.state_every > 0:
        every = str(task.state_every)
        arguments += ["--save_state", "--save_every_n_steps", every, "--save_last_n_steps", every]
    state = latest_state(work_dir, task.output.stem, task.last_step)
    # Without skipping, a resumed run would count its steps from the beginning.
    return [*arguments, "--resume", str(state), "--skip_until_initial_step"] if state else arguments


def _samples(task: TrainTask, work_dir: Path) -> Sequence[str]:
    if task.sample_every <= 0 or not task.sample_prompts:
        return ()
    return ("--sample_every_n_steps", str(task.sample_every), "--sample_prompts", str(prompt_file(work_dir)))
