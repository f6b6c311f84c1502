"""Everything before the first step: what does not change is computed once, and what is done with is freed."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.checkpoint import checkpoint as recompute

from lib_copier.lora.file import read_lora
from lib_copier.lora.names import UNET_PREFIX
from lib_copier.model_file.checkpoint import facts_of
from lib_copier.models.ahead import WeightReader
from lib_copier.models.attach import bake, lora_targets
from lib_copier.models.checkpoint import PARTS, Checkpoint, load_checkpoint, part_dtypes
from lib_copier.models.device import choose_device, choose_dtype, tell_device
from lib_copier.models.latents import decode_latents, encode_picture
from lib_copier.models.text import time_ids
from lib_copier.train.captions import CACHED_ORDERS, CaptionBook, plan_captions
from lib_copier.train.conditioning import CachedConditioning, LiveConditioning
from lib_copier.train.config import TrainConfig
from lib_copier.train.inject import LoraNetwork, Ranks, inject
from lib_copier.train.optimizer import make_optimizer
from lib_copier.train.output import RunFacts
from lib_copier.train.picture import TrainingPicture, load_picture
from lib_copier.train.preview import Painter
from lib_copier.train.step import TrainingStep
from lib_copier.train.timesteps import TimeSteps
from lib_copier.train.update import LossScale, Updater
from lib_copier.train.walk import LearnedWalk, guidance_of, shared_walk

_LAYOUT = torch.channels_last
"""Convolutions of small pictures spend their time laying out weights; in this order they need not: a step of
64 px takes 0.63 of the time on a CPU."""


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as the model sees it: `latents` (1, C, h, w), `mask`, SDXL's `time_ids` and the latents of
    its `origin` and the `walk` to it, all on the device; `round_trip` (1, 3, H, W) on the CPU is the picture
    after the VAE, the most a copy can reach."""

    latents: torch.Tensor
    mask: torch.Tensor | None
    time_ids: torch.Tensor | None
    round_trip: torch.Tensor | None
    origin: torch.Tensor | None = None
    walk: LearnedWalk | None = None


@dataclass(frozen=True)
class Prepared:
    """A run ready to start."""

    step: TrainingStep
    checkpoint: Checkpoint
    sources: tuple[TrainingPicture, ...]
    pictures: tuple[PreparedPicture, ...]
    timesteps: TimeSteps
    captions: CaptionBook
    prompt_rows: dict[str, int]
    painter: Painter | None
    device: torch.device
    dtype: torch.dtype

    def facts(self, steps: int, started_at: float) -> RunFacts:
        """What the LoRA's metadata tells of this run."""
        return RunFacts(self.checkpoint, self.sources, steps, started_at, self.dtype)


def prepare(config: TrainConfig, *, log: Callable[[str], None]) -> Prepared:
    """Read pictures and models, compute latents and embeddings, and give the model its LoRA layers.

    Raises
    ------
    InputError
        A picture or a model cannot be used.
    """
    resolution = facts_of(config.checkpoint, config.prediction).resolution if config.bucketed else None
    sources = tuple(load_picture(one, log=log, resolution=resolution) for one in config.pictures)
    device = choose_device(config.device)
    tell_device(device)
    dtype = choose_dtype(config.precision, device, is_training=True)
    # Encoders whose work is done ahead run in fp32: it costs nothing later.
    text_dtype = dtype if config.train_text_encoder else torch.float32
    dtypes = part_dtypes(PARTS, text_dtype, dtype, config.vae)
    with WeightReader(config.checkpoint, dtypes, _LAYOUT, device=device) as reader:
        encoders = _load(config, device, text_dtype, ("vae", "text"), reader)
        return _prepare(config, sources, encoders, device, dtype, reader)


def _prepare(
    config: TrainConfig,
    sources: tuple[TrainingPicture, ...],
    encoders: Checkpoint,
    device: torch.device,
    dtype: torch.dtype,
    reader: WeightReader,
) -> Prepared:
    pictures = tuple(_encode(encoders, source, wants_round_trip=_checks_copy(config)) for source in sources)
    walk = shared_walk([one.walk for one in pictures])
    captions, prompt_rows = _captions(config, is_guided=walk is not None)
    # What guidance compares with stands behind all others.
    texts = (*captions.texts, *prompt_rows, *([walk.without or ""] if walk else []))
    conditioning: CachedConditioning | LiveConditioning
    if config.train_text_encoder:
        conditioning = LiveConditioning(encoders, texts, clip_skip=config.clip_skip)
    else:
        conditioning = CachedConditioning.encode(encoders, texts, clip_skip=config.clip_skip, dtype=dtype)
    vae = encoders.vae if prompt_rows else None
    if vae is not None and device.type != "cpu":
        vae.to("cpu")
    _free(encoders, device, keep_text=config.train_text_encoder)

    checkpoint = _load(config, device, dtype, ("unet",), reader)
    checkpoint.text_encoders = encoders.text_encoders
    network = give_layers(
        checkpoint,
        Ranks(config.rank, config.alpha, config.conv_rank, config.own_conv_alpha),
        seed=config.seed,
        only=config.layers,
        recomputes=config.gradient_checkpointing,
        text_encoder=config.train_text_encoder,
    )
    optimizer = _optimizer(config, network, device)
    scale = LossScale(device, is_dynamic=dtype == torch.float16)
    updater = Updater(optimizer, scale, config.max_grad_norm)
    schedule = checkpoint.schedule()
    timesteps = TimeSteps.of(config, schedule, walk)
    step = TrainingStep(
        checkpoint.unet,
        conditioning,
        network,
        updater,
        schedule,
        timesteps.weights,
        opposite=config.opposite,
        guidance=guidance_of(walk, schedule, checkpoint.family, len(texts) - 1, config.min_snr_gamma),
    )
    painter = None
    if vae is not None:
        asked = (prompt_rows[""], config.seed, config.look_cfg_scale)
        painter = Painter(checkpoint.unet, vae, conditioning, schedule, *asked)
    pictures = tuple(
        _asked_ahead(step, picture, captions.row(place, 0), config.batch_size)
        for place, picture in enumerate(pictures)
    )
    return Prepared(
        step, checkpoint, sources, pictures, timesteps, captions, prompt_rows, painter, device, dtype
    )


def _asked_ahead(step: TrainingStep, picture: PreparedPicture, row: int, at_once: int) -> PreparedPicture:
    if picture.walk is None or picture.origin is None:
        return picture
    walk = picture.walk.asked_ahead(step, picture.origin, row, picture.time_ids, at_once)
    return replace(picture, walk=walk)


def _load(
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    parts: tuple[str, ...],
    reader: WeightReader,
) -> Checkpoint:
    """Some parts of the checkpoint, the base LoRAs baked into them."""
    checkpoint = load_checkpoint(
        config.checkpoint,
        vae=config.vae,
        prediction=config.prediction,
        device=device,
        dtype=dtype,
        parts=parts,
        reader=reader,
    )
    for base in config.base_loras:
        lora = read_lora(base.path)
        own = {
            name: layer
            for name, layer in lora.layers.items()
            if ("unet" if name.startswith(UNET_PREFIX) else "text") in parts
        }
        bake(checkpoint, lora.with_layers(own), base.weight)
    return checkpoint


@torch.no_grad()
def _encode(encoders: Checkpoint, source: TrainingPicture, *, wants_round_trip: bool) -> PreparedPicture:
    device = encoders.device
    latents = encode_picture(encoders.vae, source.pixels.to(device)).float()
    round_trip = decode_latents(encoders.vae, latents).clamp(-1.0, 1.0).cpu() if wants_round_trip else None
    size_ids = None
    if len(encoders.text_encoders) > 1:
        size_ids = time_ids(source.size, device)
    mask = None if source.mask is None else source.mask.to(device)
    origin = None
    if source.origin is not None:
        origin = encode_picture(encoders.vae, source.origin.to(device)).float()
    walk = None
    if source.walk is not None and origin is not None:
        walk = LearnedWalk.of(source.walk, origin, encoders.schedule(), source.name)
    return PreparedPicture(latents, mask, size_ids, round_trip, origin, walk)


def _captions(config: TrainConfig, *, is_guided: bool) -> tuple[CaptionBook, dict[str, int]]:
    """The run's captions, and behind them the rows of the prompts that previews need."""
    book = plan_captions(
        [picture.caption for picture in config.pictures],
        uses=config.steps * config.batch_size,
        # A walk was drawn with its prompt as it stands, and is answered ahead with that alone.
        shuffle=config.shuffle_caption and not is_guided,
        keep_tokens=config.keep_tokens,
        # A guided step has its caption and the empty prompt at once.
        others=() if is_guided else config.own_other_prompts,
        other_share=config.other_prompt_share,
        seed=config.seed,
        limit=None if config.train_text_encoder else CACHED_ORDERS,
    )
    prompts: list[str] = []
    if config.sample_every and config.sample_prompts:
        prompts += config.own_sample_prompts
    if _checks_copy(config):
        prompts += config.own_unseen_prompts
    if prompts:
        prompts.append("")
    unique = dict.fromkeys(prompts)
    return book, {prompt: len(book.texts) + place for place, prompt in enumerate(unique)}


def _checks_copy(config: TrainConfig) -> bool:
    return config.copied_psnr is not None


def give_layers(
    checkpoint: Checkpoint,
    ranks: Ranks,
    *,
    seed: int,
    only: Sequence[str] = (),
    recomputes: bool,
    text_encoder: bool,
) -> LoraNetwork:
    """Give a checkpoint's U-Net, and with `text_encoder` its text encoders, trainable LoRA layers.

    With `recomputes` the backward pass computes activations again instead of keeping them (gradient
    checkpointing). `seed` and `only` as for `inject`.
    """
    checkpoint.unet.to(memory_format=_LAYOUT)
    if recomputes:
        # Nothing in the U-Net draws random numbers, so none need be put back when it runs again.
        again = functools.partial(recompute, use_reentrant=False, preserve_rng_state=False)
        checkpoint.unet.enable_gradient_checkpointing(again)
        checkpoint.unet.train()
    targets = lora_targets(checkpoint, with_convolutions=ranks.conv_rank is not None)
    if not text_encoder:
        targets = {name: module for name, module in targets.items() if name.startswith(UNET_PREFIX)}
    return inject(targets, ranks, seed=seed, only=only)


def _optimizer(config: TrainConfig, network: LoraNetwork, device: torch.device) -> torch.optim.Optimizer:
    groups = _parameter_groups(config, network, device)
    is_recorded = device.type == "cuda"
    return make_optimizer(config.optimizer, config.optimizer_args, groups, capturable=is_recorded)


def _parameter_groups(config: TrainConfig, network: LoraNetwork, device: torch.device) -> list[dict]:
    """U-Net and text encoder apart, each with its own learning rate as ``base_lr``."""
    rates = {True: config.learning_rate, False: config.learning_rate}
    if config.text_encoder_lr is not None:
        rates[False] = config.text_encoder_lr
    groups = []
    for is_unet, rate in rates.items():
        params = [
            master
            for layer in network.layers
            if layer.name.startswith(UNET_PREFIX) is is_unet
            for master in layer.masters
        ]
        if params:
            # A tensor on CUDA, so that a recorded step reads a rate that moves.
            lr = torch.tensor(rate, device=device) if device.type == "cuda" else rate
            groups.append({"params": params, "lr": lr, "base_lr": rate})
    return groups


def _free(encoders: Checkpoint, device: torch.device, *, keep_text: bool) -> None:
    encoders.vae = None
    if not keep_text:
        encoders.text_encoders = ()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
