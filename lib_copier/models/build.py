"""Modules of diffusers and transformers, filled with the tensors of a checkpoint in the original layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from lib_copier.border import events
from lib_copier.errors import InputError
from lib_copier.lora.layout import open_clip_slots
from lib_copier.model_file.families import SD2, SDXL, Family
from lib_copier.model_file.keys import VAE_PREFIX
from lib_copier.models import sizes
from lib_copier.models.libraries import prepare_diffusers, prepare_transformers

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

Tensors = dict[str, torch.Tensor]

VAE_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
# Under this name the converter looks; ours are set before them whatever the family.
_OPEN_CLIP_PREFIX = SDXL.text_encoders[1].key_prefix
_LAYOUTS = {4: torch.channels_last}
"""What tensors may stay in beside the usual layout, by their number of axes."""
_SDXL_END = re.compile(
    r"text_model\.(encoder\.layers\.(\d+)\..*|final_layer_norm\..*)|text_projection\.weight"
)
"""What some SDXL files lack of a text encoder: its last layer (the group) and what follows."""
_WITHOUT_POOLED = (
    "The checkpoint lacks the end of SDXL's second text encoder: its pooled text is not what it was trained "
    "with, and its pictures are others than a whole file's."
)


@dataclass(frozen=True)
class Placement:
    """Where a module's tensors go, and as what."""

    device: torch.device
    dtype: torch.dtype

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor there; a copy where it is a part of something larger, which could not be let go."""
        placed = tensor.to(self.device, self.dtype)
        if not placed.is_contiguous(memory_format=_LAYOUTS.get(placed.ndim, torch.contiguous_format)):
            placed = placed.contiguous()
        return placed.clone() if placed.untyped_storage().nbytes() != placed.nbytes else placed


class _Uninitialised(TorchFunctionMode):
    """Passes over the first values that layers draw: on the meta device torch loads its compiler for some."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def without_values() -> Iterator[None]:
    """A block in which modules have shapes and nothing in them: they take no memory and no time."""
    with torch.device("meta"), _Uninitialised():
        yield


def build_unet(
    tensors: Tensors, shapes: sizes.Shapes, family: Family, placement: Placement
) -> UNet2DConditionModel:
    """The U-Net, of the tensors under `UNET_PREFIX`, which it takes over: each is let go once it is in
    place, so that the largest part of a checkpoint is not held twice.

    `shapes` is the whole file's: SDXL's text encoder tells how pooled text and picture sizes share one input.
    """
    prepare_diffusers()
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = sizes.unet_config(shapes, family)
    converted = convert_ldm_unet_checkpoint(tensors, config)
    taken = {id(tensor) for tensor in converted.values()}
    left = [name for name, tensor in tensors.items() if id(tensor) not in taken]
    tensors.clear()
    return _filled("U-Net", lambda: UNet2DConditionModel(**config), converted, placement, left)


def build_vae(tensors: Tensors, family: Family, placement: Placement) -> AutoencoderKL:
    """The VAE; `tensors` holds its tensors with or without `VAE_PREFIX` before their names."""
    prepare_diffusers()
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    own = without_prefix(tensors, VAE_PREFIX) or tensors
    config = sizes.vae_config(_shapes(own), family)
    named = {VAE_PREFIX + name: tensor for name, tensor in own.items()}
    converted = convert_ldm_vae_checkpoint(named, config)
    left = [name for name in own if not name.startswith(VAE_PARTS)]
    return _filled("VAE", lambda: AutoencoderKL(**config), converted, placement, left)


def build_text_encoders(
    tensors: Tensors, family: Family, placement: Placement
) -> tuple[CLIPTextModel | CLIPTextModelWithProjection, ...]:
    """The family's text encoders: CLIP-L for SD1, OpenCLIP for SD2, both in this order for SDXL."""
    encoders: list[Any] = []
    for encoder in family.text_encoders:
        own = without_prefix(tensors, encoder.key_prefix)
        if not own:
            raise InputError(
                f"The checkpoint lacks a text encoder of {family.label} ({encoder.key_prefix}…).",
                "Choose a whole checkpoint.",
            )
        build = _open_clip if encoder.is_open_clip else _clip
        encoders.append(build(own, placement, family))
    return tuple(encoders)


def without_prefix(tensors: Tensors, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors under a prefix, named without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _clip(own: Tensors, placement: Placement, family: Family) -> CLIPTextModel:
    prepare_transformers()
    from transformers import CLIPTextConfig, CLIPTextModel

    # These names are transformers' own.
    config = CLIPTextConfig(**sizes.clip_config(_shapes(own), may_be_cut=family is SDXL))
    whole = _with_end(own, CLIPTextModel, config) if family is SDXL else own
    return _filled("text encoder", lambda: CLIPTextModel(config), whole, placement)


def _open_clip(
    own: Tensors, placement: Placement, family: Family
) -> CLIPTextModel | CLIPTextModelWithProjection:
    """An OpenCLIP encoder; SD2 reads the last block's input and has no pooled output."""
    prepare_diffusers()
    prepare_transformers()
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kept = _without_last_block(own) if family is SD2 else own
    config = CLIPTextConfig(**sizes.open_clip_config(_shapes(kept), may_be_cut=family is SDXL))
    # The converter reads nothing but the configuration: a shell spares building the module twice.
    shell = SimpleNamespace(config=config)
    named = {_OPEN_CLIP_PREFIX + name: tensor for name, tensor in kept.items()}
    converted = convert_open_clip_checkpoint(shell, named, prefix=_OPEN_CLIP_PREFIX)
    model_class = CLIPTextModel if family is SD2 else CLIPTextModelWithProjection
    left = [name for name in kept if not open_clip_slots(name)]
    whole = _with_end(converted, model_class, config) if family is SDXL else converted
    if len(whole) > len(converted):
        events.emit("log", text=_WITHOUT_POOLED)
    return _filled("text encoder", lambda: model_class(config), whole, placement, left)


def _with_end(tensors: Tensors, model_class: Any, config: Any) -> Tensors:
    """What a file lacks of SDXL's last layers, filled up with zeros, as the WebUI does it.

    SDXL reads the last layer but one; only the pooled text goes through the end of the second encoder.
    """
    with without_values():
        expected = model_class(config).state_dict()
    last = str(config.num_hidden_layers - 1)
    ends = ((name, _SDXL_END.fullmatch(name)) for name in expected if name not in tensors)
    lacking = [name for name, end in ends if end and end[2] in (None, last)]
    like = next(iter(tensors.values()))
    return tensors | {name: like.new_zeros(expected[name].shape) for name in lacking}


def _without_last_block(own: Tensors) -> Tensors:
    """Leave out the block that SD2 never runs.

    A whole OpenCLIP (known by its projection, or by its 24 blocks) still has it; files converted from
    diffusers come without block and projection.
    """
    layers = sizes.open_clip_layers(_shapes(own))
    kept = {name: tensor for name, tensor in own.items() if name != "text_projection"}
    if len(kept) == len(own) and layers != sizes.TEXT_LAYERS[SD2.cross_attention_width]:
        return kept
    unused = f"transformer.resblocks.{layers - 1}."
    return {name: tensor for name, tensor in kept.items() if not name.startswith(unused)}


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _filled(
    what: str,
    make: Callable[[], Any],
    tensors: Tensors,
    placement: Placement,
    left: Collection[str] = (),
) -> Any:
    """Make a module without memory of its own and give it the tensors, complete and of the right shape.

    `left` names what of the file has no place in it, which is a fault too.
    """
    with without_values():
        module = make()
    expected = module.state_dict()
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    strange = [*left, *(name for name in tensors if name not in expected)]
    faults += [f"{name} is not part of a {what}" for name in strange]
    faults += [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if faults:
        more = f", and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError(
            f"The checkpoint's {what} does not fit together: {'; '.join(faults[:3])}{more}.",
            "Use a complete SD1, SD2 or SDXL checkpoint in the original layout.",
        )
    placed = {name: placement.place(tensors.pop(name)) for name in expected}
    module.load_state_dict(placed, assign=True)
    _fill_buffers(module, placement.device)
    return module.eval().requires_grad_(False)


def _fill_buffers(module: nn.Module, device: torch.device) -> None:
    """Give the buffers that no file holds their values: only CLIP's position numbers are of this kind."""
    for part in module.modules():
        for name, buffer in part.named_buffers(recurse=False):
            if not buffer.is_meta:
                continue
            if name != "position_ids":
                raise RuntimeError(f"buffer {name} of {type(part).__name__} has no known value")
            numbers = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
            part.register_buffer(name, numbers, persistent=False)
