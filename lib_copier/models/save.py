"""Modules of diffusers and transformers written back as one file in the original layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import nn

from lib_copier.files.disk import replacing
from lib_copier.lora.layout import Slot, slots_for
from lib_copier.model_file.families import Family
from lib_copier.model_file.header import header_bytes, laid_out

_DTYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def save_checkpoint(
    path: Path,
    family: Family,
    *,
    unet: nn.Module | None = None,
    vae: nn.Module | None = None,
    text_encoders: Iterable[nn.Module] = (),
    dtype: torch.dtype = torch.float16,
    metadata: Mapping[str, str] | None = None,
    extra: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a checkpoint, tensor by tensor, so that no second copy of it is held.

    Parameters
    ----------
    text_encoders:
        In the family's order; each may be left out only with all of them.
    extra:
        Tensors written under their own names, such as the markers ``v_pred`` and ``ztsnr``.
    """
    modules: dict[str, nn.Module] = {}
    if unet is not None:
        modules["unet"] = unet
    if vae is not None:
        modules["vae"] = vae
    encoders = tuple(text_encoders)
    if encoders:
        parts = (encoder.part for encoder in family.text_encoders)
        modules |= dict(zip(parts, encoders, strict=True))
    makers: dict[str, Callable[[], torch.Tensor]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for part, module in modules.items():
        for key, pieces in original_keys(part, module.state_dict(), family).items():
            shapes[key] = joined_shape(pieces)
            makers[key] = partial(_joined, pieces)
    for key, tensor in (extra or {}).items():
        shapes[key] = tuple(tensor.shape)
        makers[key] = partial(_joined, [(Slot(key), tensor)])
    write_tensors(path, shapes, lambda key: makers[key](), dtype, metadata)


def original_keys(
    part: str, tensors: Mapping[str, torch.Tensor], family: Family
) -> dict[str, list[tuple[Slot, torch.Tensor]]]:
    """Each key of the single file with the tensors that make it: three for OpenCLIP's `in_proj`, else one."""
    keys: dict[str, list[tuple[Slot, torch.Tensor]]] = {}
    for name, slot in slots_for(part, tensors, family).items():
        keys.setdefault(slot.key, []).append((slot, tensors[name]))
    for pieces in keys.values():
        pieces.sort(key=lambda piece: piece[0].third or 0)
    return keys


def joined_shape(pieces: list[tuple[Slot, torch.Tensor]]) -> tuple[int, ...]:
    """The shape in the file of what several tensors make together."""
    slot, first = pieces[0]
    shape = tuple(reversed(first.shape)) if slot.is_transposed else tuple(first.shape)
    return (shape[0] * len(pieces), *shape[1:])


def write_tensors(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    make: Callable[[str], torch.Tensor],
    dtype: torch.dtype,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file atomically, asking for one tensor at a time.

    Raises
    ------
    ValueError
        If a tensor does not have the shape that was announced.
    """
    placed = laid_out({name: (_DTYPE_NAMES[dtype], shape) for name, shape in shapes.items()})
    with replacing(path) as file:
        file.write(header_bytes(placed, {"format": "pt", **(metadata or {})}))
        for name, info in placed.items():
            tensor = make(name).detach().to("cpu", dtype).contiguous()
            if tuple(tensor.shape) != info.shape:
                raise ValueError(f"{name} is {tuple(tensor.shape)}, announced as {info.shape}")
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def _joined(pieces: list[tuple[Slot, torch.Tensor]]) -> torch.Tensor:
    slot, first = pieces[0]
    if len(pieces) == 1:
        return first.T if slot.is_transposed else first
    return torch.cat([tensor for _, tensor in pieces])
