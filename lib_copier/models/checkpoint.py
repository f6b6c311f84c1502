"""A checkpoint file becomes modules: family and sizes are read from its tensors, nothing from the network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lib_copier.errors import InputError
from lib_copier.model_file.checkpoint import facts_from, told_by_user
from lib_copier.model_file.families import Family
from lib_copier.model_file.keys import VAE_PREFIX
from lib_copier.models.ahead import Tensors, WeightReader
from lib_copier.models.build import VAE_PARTS, Placement, build_text_encoders, build_unet, build_vae
from lib_copier.models.kept import KEPT, Key, file_state
from lib_copier.models.noise import NoiseSchedule
from lib_copier.models.source import ModelFile
from lib_copier.models.tokenizer import END_ID, PromptTokenizer

PARTS = ("unet", "vae", "text")
_OPEN_CLIP_PAD = 0


@dataclass
class Checkpoint:
    """A Stable Diffusion in memory. Parts that were not asked for are None or empty.

    `unet` (diffusers' `UNet2DConditionModel`) and `text_encoders` (transformers' `CLIPTextModel`, SDXL's
    second `CLIPTextModelWithProjection`) are of `dtype`, the `vae` (`AutoencoderKL`) always float32; all on
    `device`, frozen and in evaluation mode. `resolution` (pixels) is what it was trained at.
    """

    path: Path
    family: Family
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    prediction_type: str
    zero_terminal_snr: bool
    resolution: int
    device: torch.device
    dtype: torch.dtype
    metadata: dict[str, str] = field(default_factory=dict)
    state: Key = ()
    """Of its files as they were read (`kept.file_state`)."""

    @cached_property
    def tokenizers(self) -> tuple[PromptTokenizer, ...]:
        """One a text encoder; they differ in what fills a chunk."""
        return tuple(
            PromptTokenizer(_OPEN_CLIP_PAD if encoder.is_open_clip else END_ID)
            for encoder in self.family.text_encoders
        )

    @property
    def latent_factor(self) -> int:
        """Pixels of the picture to one of its latents, in width and height (8 for all real checkpoints)."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @cached_property
    def sha256(self) -> str:
        """Digest of the checkpoint's file; computed when first asked for (about a second per GiB)."""
        return KEPT.sha256(self.path)

    def schedule(self) -> NoiseSchedule:
        """The noise schedule this checkpoint was trained with, on its device."""
        schedule = NoiseSchedule.create(self.prediction_type, zero_terminal_snr=self.zero_terminal_snr)
        return schedule.to(self.device)


def load_checkpoint(
    path: Path | str,
    *,
    vae: Path | str | None = None,
    prediction: str = "auto",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    parts: Iterable[str] = PARTS,
    reader: WeightReader | None = None,
) -> Checkpoint:
    """Load a single-file checkpoint (``.safetensors``, or ``.ckpt`` read weights-only).

    Parameters
    ----------
    vae:
        A VAE file that takes the place of the checkpoint's own.
    prediction:
        ``epsilon`` or ``v_prediction``; ``auto`` goes by what the file and the yaml beside it tell and, for
        SD2, by what the U-Net answers.
    dtype:
        Of the U-Net and the text encoders.
    parts:
        Which of ``unet``, ``vae`` and ``text`` to load.
    reader:
        Reads these parts of this file since before this call.

    Raises
    ------
    InputError
        If the file is missing, truncated, of an unsupported kind, or not a checkpoint at all.
    """
    path = Path(path)
    wanted = set(parts)
    if unknown := wanted - set(PARTS):
        raise ValueError(f"unknown parts {sorted(unknown)}; known are {PARTS}")
    placement = Placement(torch.device(device), dtype)
    with ExitStack() as stack:
        file = stack.enter_context(ModelFile.open(path))
        facts = told_by_user(facts_from(file.shapes, file.metadata, path), prediction)
        family = facts.family
        if reader is None:
            dtypes = part_dtypes(wanted, dtype, dtype, vae)
            reader = stack.enter_context(WeightReader(path, dtypes, device=placement.device))
        encoders, unet = _kept_modules(reader, wanted, file.shapes, family, placement)
        own_vae = _load_vae(reader, path, vae, family, placement.device) if "vae" in wanted else None
    predicts = facts.prediction or ("epsilon" if unet is None else asked_prediction(unet))
    return Checkpoint(
        path=path,
        family=family,
        unet=unet,
        vae=own_vae,
        text_encoders=encoders,
        prediction_type=predicts,
        zero_terminal_snr=facts.zero_terminal_snr,
        resolution=facts.resolution,
        device=placement.device,
        dtype=dtype,
        metadata=dict(file.metadata),
        state=(*reader.state, *(file_state(Path(vae)) if vae is not None else ())),
    )


def _kept_modules(
    reader: WeightReader,
    wanted: Collection[str],
    shapes: Mapping[str, tuple[int, ...]],
    family: Family,
    placement: Placement,
) -> tuple[tuple[Any, ...], Any]:
    """Text encoders and U-Net as far as they are wanted: those that are kept, else built."""
    make: dict[str, Callable[[], Any]] = {
        "text": lambda: build_text_encoders(reader.take("text"), family, placement),
        "unet": lambda: build_unet(reader.take("unet"), shapes, family, placement),
    }
    found = {
        part: KEPT.take(reader.key(part, placement.device), make[part]) for part in make if part in wanted
    }
    return found.get("text", ()), found.get("unet")


def part_dtypes(
    parts: Iterable[str], text: torch.dtype, unet: torch.dtype, separate_vae: Path | str | None
) -> dict[str, torch.dtype]:
    """What of a checkpoint's file is read for some parts, and as what: a `WeightReader`'s argument."""
    dtypes = {"text": text, "vae": torch.float32, "unet": unet}
    wanted = set(parts) - ({"vae"} if separate_vae is not None else set())
    return {part: dtype for part, dtype in dtypes.items() if part in wanted}


def _load_vae(
    reader: WeightReader, path: Path, separate: Path | str | None, family: Family, device: torch.device
) -> Any:
    placement = Placement(device, torch.float32)
    if separate is None:
        return KEPT.take(
            reader.key("vae", device), lambda: _own_vae(reader.take("vae"), path, family, placement)
        )
    key = ("vae", *file_state(Path(separate)), str(device), family.name)
    return KEPT.take(key, lambda: _separate_vae(Path(separate), family, placement))


def _own_vae(tensors: Tensors, path: Path, family: Family, placement: Placement) -> Any:
    if not tensors:
        raise InputError(
            f"The checkpoint {path.name} holds no VAE.",
            "Give the family's VAE file as well (--vae).",
        )
    return build_vae(tensors, family, placement)


def _separate_vae(path: Path, family: Family, placement: Placement) -> Any:
    with ModelFile.open(path) as vae_file:
        _check_vae(vae_file.path, vae_file.shapes)
        tensors = vae_file.under(VAE_PREFIX) or vae_file.under(*VAE_PARTS)
        return build_vae(tensors, family, placement)


def _check_vae(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if any("down_blocks" in name for name in shapes):
        raise InputError(
            f"The VAE {path.name} is in the diffusers layout.", "Use the single file in the original layout."
        )
    if not any("encoder.down.0." in name for name in shapes):
        raise InputError(f"{path.name} is not a VAE.", "Give a VAE file in the original layout.")


@torch.inference_mode()
def asked_prediction(unet: Any) -> str:
    """Find out by running the U-Net once, which SD2's two variants need: their tensors look alike.

    At the noisiest step a constant picture is almost pure noise: an epsilon model gives it back, while a
    velocity model answers with the negative of the picture it believes in, far below its input.
    """
    weight = unet.conv_in.weight
    picture = torch.full((1, unet.config.in_channels, 8, 8), 0.5, device=weight.device, dtype=weight.dtype)
    text = torch.zeros(1, 2, unet.config.cross_attention_dim, device=weight.device, dtype=weight.dtype)
    answer = unet(picture, 999, encoder_hidden_states=text, return_dict=False)[0]
    return "v_prediction" if (answer - picture).float().mean().item() < -1.0 else "epsilon"
