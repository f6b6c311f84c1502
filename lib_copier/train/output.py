"""The finished LoRA: kohya's tensors and the metadata that sd-scripts would have written."""

from __future__ import annotations

import json
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib_copier.lora.file import write_lora
from lib_copier.lora.layer import Layer, Lora
from lib_copier.lora.metadata import family_notes, model_spec
from lib_copier.model_file.header import old_webui_hash
from lib_copier.models.checkpoint import Checkpoint
from lib_copier.train.config import TrainConfig
from lib_copier.train.inject import LoraNetwork
from lib_copier.train.picture import TrainingPicture

_SCHEDULER_NAMES = {"constant": "constant_with_warmup"}
_PRECISIONS = {torch.float32: "no", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run when its LoRA is written."""

    checkpoint: Checkpoint
    pictures: Sequence[TrainingPicture]
    steps: int
    started_at: float
    dtype: torch.dtype


def write_result(config: TrainConfig, network: LoraNetwork, facts: RunFacts) -> None:
    """Write the LoRA file atomically, in the precision that the configuration asks for."""
    layers = {
        layer.name: Layer(
            up=layer.masters[1].detach().cpu().numpy(),
            down=layer.masters[0].detach().cpu().numpy(),
            alpha=float(layer.alpha),
        )
        for layer in network.layers
    }
    config.output.parent.mkdir(parents=True, exist_ok=True)
    metadata = lora_metadata(config, facts)
    write_lora(Lora(layers), config.output, config.save_precision, metadata)


def lora_metadata(config: TrainConfig, facts: RunFacts) -> dict[str, str]:
    """The ``ss_*`` and ``modelspec.*`` entries of a run; rank, alpha and hashes are the writer's.

    A setting that this trainer does not know is left out rather than told as a default.
    """
    checkpoint = facts.checkpoint
    width, height = facts.pictures[0].size
    prediction = "v" if checkpoint.prediction_type == "v_prediction" else "epsilon"
    values = {
        **model_spec(config.output, checkpoint.family, prediction=prediction),
        "modelspec.resolution": f"{width}x{height}",
        **family_notes(checkpoint.family),
        **_settings(config, facts),
        **_data_set(config, facts.pictures),
        **_model(checkpoint),
        "ss_zero_terminal_snr": checkpoint.zero_terminal_snr,
    }
    return {name: str(value) for name, value in values.items()} | dict(config.metadata)


def _settings(config: TrainConfig, facts: RunFacts) -> dict[str, object]:
    text_lr = config.learning_rate if config.text_encoder_lr is None else config.text_encoder_lr
    optimizer = "torch.optim.adamw.AdamW" if config.optimizer == "adamw" else config.optimizer
    arguments = ",".join(config.optimizer_args)
    scheduler = config.lr_scheduler
    if config.own_warmup:
        scheduler = _SCHEDULER_NAMES.get(scheduler, scheduler)
    return {
        "ss_training_started_at": facts.started_at,
        "ss_training_finished_at": time.time(),
        "ss_session_id": zlib.crc32(repr((config, facts.started_at)).encode()),
        "ss_training_comment": None,
        "ss_learning_rate": config.learning_rate,
        "ss_unet_lr": config.learning_rate,
        "ss_text_encoder_lr": text_lr if config.train_text_encoder else None,
        "ss_lr_scheduler": scheduler,
        "ss_lr_warmup_steps": config.own_warmup,
        "ss_optimizer": f"{optimizer}({arguments})" if arguments else optimizer,
        "ss_max_grad_norm": config.max_grad_norm,
        "ss_steps": facts.steps,
        "ss_max_train_steps": config.steps,
        "ss_epoch": 1,
        "ss_num_epochs": 1,
        "ss_seed": config.seed,
        "ss_clip_skip": config.clip_skip if config.clip_skip > 1 else None,
        "ss_min_snr_gamma": config.min_snr_gamma,
        "ss_loss_type": "l2",
        "ss_mixed_precision": _PRECISIONS[facts.dtype],
        "ss_gradient_checkpointing": config.gradient_checkpointing,
        "ss_gradient_accumulation_steps": 1,
        "ss_cache_latents": True,
    }


def _data_set(config: TrainConfig, pictures: Sequence[TrainingPicture]) -> dict[str, object]:
    """The pictures as sd-scripts describes a data set: one folder, its tags and their counts."""
    tags = Counter(tag.strip() for picture in pictures for tag in picture.caption.split(",") if tag.strip())
    repeats = -(-config.steps * config.batch_size // len(pictures))
    name = config.pictures[0].path.parent.name or "pictures"
    frequency = {name: dict(tags)}
    width, height = pictures[0].size
    data_set = {
        "is_dreambooth": True,
        "batch_size_per_device": config.batch_size,
        "num_train_images": repeats * len(pictures),
        "num_reg_images": 0,
        "resolution": [width, height],
        "enable_bucket": config.bucketed,
        "tag_frequency": frequency,
        "subsets": [
            {
                "img_count": len(pictures),
                "num_repeats": repeats,
                "shuffle_caption": config.shuffle_caption,
                "keep_tokens": config.keep_tokens,
                "image_dir": name,
            }
        ],
    }
    return {
        "ss_num_train_images": repeats * len(pictures),
        "ss_num_reg_images": 0,
        "ss_num_batches_per_epoch": config.steps,
        "ss_dataset_dirs": json.dumps({name: {"n_repeats": repeats, "img_count": len(pictures)}}),
        "ss_tag_frequency": json.dumps(frequency, ensure_ascii=False),
        "ss_datasets": json.dumps([data_set], ensure_ascii=False),
    }


def _model(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "ss_sd_model_name": checkpoint.path.name,
        "ss_sd_model_hash": old_webui_hash(checkpoint.path),
        "ss_new_sd_model_hash": checkpoint.sha256,
    }
