"""How files name an adapter's tensors: what a key is, which layer it belongs to, and what is not ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lib_copier.errors import InputError
from lib_copier.lora.names import canonical_name, kohya_name
from lib_copier.model_file.families import SD1, Family, Shape, detect_lora_family

# What may end a key, and the role that its tensor has in its layer. PEFT may put the adapter's name behind.
_DEFAULT = r"(?:\.default(?:_0)?)?"
_ROLES = re.compile(
    r"(?P<layer>.+?)\.(?:"
    r"lora_(?P<kohya>up|down|mid)\.weight"
    rf"|lora_(?P<peft>[AB]){_DEFAULT}\.weight"
    r"|(?:lora(?:_linear_layer|_conv)?\.)?(?P<diffusers>up|down|mid)\.weight"
    r"|(?:lora(?:_linear_layer|_conv)?\.)?(?P<alpha>alpha)"
    rf"|lora_(?P<magnitude>magnitude)_vector{_DEFAULT}(?:\.weight)?"
    rf"|(?P<lycoris>hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2)){_DEFAULT}"
    r"|(?P<whole>dora_scale|diff|diff_b|w_norm|b_norm|on_input)"
    r"|(?P<glora>[ab][12])\.weight"
    r"|(?P<factor>weight)"
    r")"
)
_PEFT_ROLES = {"A": "down", "B": "up"}

# Adapters and parts of them that are no sum on a weight, or none that their file tells whole.
_REFUSED = (
    ("OFT", re.compile(r".*\.(oft_\w+|boft_\w+)(\.\w+)*")),
    ("VeRA", re.compile(r".*\.vera_lambda_\w+(\.\w+)*")),
    ("AdaLoRA", re.compile(r".*\.lora_E(\.\w+)*")),
    ("PEFT's (IA)3", re.compile(r".*\.ia3_l(\.\w+)*")),
    ("LoRA of an embedding", re.compile(r".*\.lora_embedding_[AB](\.\w+)*")),
    ("whole modules beside the LoRA (modules_to_save)", re.compile(r".*\.modules_to_save(\.\w+)+")),
    ("trained biases", re.compile(r".*\.(lora_[AB](\.\w+)?\.bias|base_layer\.bias|bias(_\w+)?)")),
    ("replaced weights", re.compile(r".*\.set_weight")),
    ("rank-dropout LoRA (dyn)", re.compile(r".*\.dyn_(up|down|alpha)(\.weight)?")),
    ("bundled embedding", re.compile(r"bundle_emb\..*")),
    (
        "whole model",
        re.compile(r"(model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\..*"),
    ),
)
# A mark of each architecture that has no Stable Diffusion U-Net, in "key key_with_underscores shape"; the
# first that any tensor has counts.
_ARCHITECTURES = (
    ("AuraFlow", r"joint_transformer_blocks_\d|(?<![a-z])(double|single)_layers_\d"),
    ("HiDream", r"(double|single)_stream_blocks_\d"),
    ("Qwen-Image", r"transformer_blocks_\d+_(img|txt)_(mlp|mod)_"),
    ("HunyuanVideo", r"individual_token_refiner|double_blocks_\d+_(img|txt)_(mlp_fc|mod_linear)"),
    ("Chroma", r"distilled_guidance_layer"),
    ("Flux", r"(double|single)_blocks_\d|single_transformer_blocks_\d"),
    ("Stable Diffusion 3", r"transformer_blocks_\d+_attn2?_(to|add)_\S*_lora_(A|down)\S* \d+,(1536|2432)$"),
    (
        "Stable Diffusion 3 (or Qwen-Image)",
        r"joint_blocks_\d|transformer_blocks_\d+_(attn2?_(add_[qkv]_proj|to_add_out)|ff_context|norm1_context)",
    ),
    ("Stable Cascade", r"lora_prior_|effnet_mapper"),
    ("Sana", r"_conv_inverted|_conv_depth_"),
    (
        "HunyuanDiT",
        r"blocks_\d+_(attn\d_(Wqkv|kv_proj|q_proj|out_proj)|mlp_fc\d|skip_linear|default_modulation)",
    ),
    ("Wan", r"blocks_\d+_(self_attn|cross_attn|ffn)_|(transformer|model|unet)\.blocks\.\d|_unet_blocks_"),
    ("Z-Image", r"(layers|refiner)_\d+_(attention_to_|adaLN_modulation)"),
    (
        "Lumina (or Z-Image)",
        r"layers_\d+_(attention|feed_forward|attn)_|(noise|context)_refiner|cap_embedder",
    ),
    ("PixArt", r"( |[a-z]_)transformer_blocks_\d+_attn[12]_to_[qkv]_lora_(A|down)\S* \d+,1152$"),
    ("LTX-Video", r"( |[a-z]_)transformer_blocks_\d+_attn[12]_to_[qkv]_lora_(A|down)\S* \d+,(2048|4096)$"),
    ("Stable Diffusion 3, Flux or Qwen-Image", r"transformer_blocks_\d+_attn_to_"),
    ("PixArt or LTX-Video", r"( |[a-z]_)transformer_blocks_\d+_|adaln_single|caption_projection"),
    ("another model with a T5 text encoder", r"lora_te3_|text_encoder_3_|SelfAttention|DenseReluDense"),
    ("another diffusion transformer", r"^(lora_)?transformer[._]"),
)


@dataclass(frozen=True)
class KeyTable:
    """A file's keys sorted: layer (kohya's name) -> role -> key."""

    layers: dict[str, dict[str, str]]
    sources: dict[str, str]
    """kohya's name -> what the file calls the layer."""
    family: Family | None


def parse_key(key: str) -> tuple[str, str] | None:
    """(layer, role) of an adapter's tensor, or None.

    Roles: ``up``, ``down``, ``mid``, ``alpha`` of LoRAs; LyCORIS' own names, but ``factor`` for the weight of
    (IA)³; ``magnitude`` for PEFT's DoRA.
    """
    found = _ROLES.fullmatch(key)
    if found is None or any(pattern.fullmatch(key) for _, pattern in _REFUSED):
        return None
    name, role = next((name, role) for name, role in found.groupdict().items() if role and name != "layer")
    if name == "factor":
        # Any model has keys that end so: only kohya's way of naming layers shows an adapter.
        return (found["layer"], "factor") if re.fullmatch(r"(lora|lycoris)_[^.]+", found["layer"]) else None
    return found["layer"], _PEFT_ROLES.get(role, role)


def holds_adapter(keys: Iterable[str]) -> bool:
    """Whether a file has tensors that only an adapter has."""
    parsed = (parse_key(key) for key in keys)
    return any(found is not None and found[1] != "alpha" for found in parsed)


def sort_keys(shapes: Mapping[str, Shape], metadata: Mapping[str, str], subject: str) -> KeyTable:
    """Sort an adapter file's keys by layer.

    Raises
    ------
    InputError
        Where the file is for an architecture, or of a kind, that is not ours (named, with keys), where keys
        belong to nothing known, or where two spellings of one layer stand in it.
    """
    if not shapes:
        raise InputError(f"{subject} holds no tensors.", "Give a LoRA file.")
    _refuse_foreign(shapes, subject)
    _refuse_kinds(shapes, subject)
    parsed = {key: parse_key(key) for key in shapes}
    unknown = [key for key, found in parsed.items() if found is None]
    if unknown:
        raise InputError(
            f"{subject} holds {len(unknown)} tensors of an unknown kind ({_some(unknown)}).",
            "Give a LoRA in kohya's, PEFT's or diffusers' naming, or a LyCORIS file.",
        )
    found = {key: pair for key, pair in parsed.items() if pair is not None}
    family = detect_lora_family(_as_plain(shapes, found), metadata)
    layers: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    for key, (source, role) in found.items():
        layer = layer_name(source, family or SD1)
        if sources.setdefault(layer, source) != source or role in layers.get(layer, {}):
            raise InputError(
                f"{subject} holds the layer {layer} twice ({sources[layer]} and {source}).",
                "Make the file again.",
            )
        layers.setdefault(layer, {})[role] = key
    return KeyTable(layers, sources, family)


def _refuse_foreign(shapes: Mapping[str, Shape], subject: str) -> None:
    told = [f"{key} {key.replace('.', '_')} {','.join(map(str, shape))}" for key, shape in shapes.items()]
    for name, mark in _ARCHITECTURES:
        pattern = re.compile(mark)
        key = next((key for key, text in zip(shapes, told, strict=True) if pattern.search(text)), None)
        if key is not None:
            raise InputError(
                f"{subject} is a LoRA for {name} (it has {key}).",
                "Give a LoRA for Stable Diffusion 1.x, 2.x or XL.",
            )


def _refuse_kinds(keys: Iterable[str], subject: str) -> None:
    kinds: dict[str, list[str]] = {}
    for key in keys:
        kind = next((kind for kind, pattern in _REFUSED if pattern.fullmatch(key)), None)
        if kind:
            kinds.setdefault(kind, []).append(key)
    if kinds:
        told = "; ".join(f"{kind}: {len(found)} tensors ({_some(found)})" for kind, found in kinds.items())
        raise InputError(
            f"{subject} holds what is not supported: {told}.",
            "Give a LoRA, LoCon, LoHa, LoKr, DoRA, (IA)3 or GLoRA, or whole differences (diff).",
        )


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


def layer_name(source: str, family: Family) -> str:
    """kohya's name of a layer, whatever a file calls it.

    Raises
    ------
    InputError
        Where the family has no such layer.
    """
    source = source.removeprefix("base_model.model.")
    kohya = re.fullmatch(r"(lora_unet|lora_te[12]?|lycoris)[_.](.+)", source)
    if kohya:
        prefix, rest = kohya[1], kohya[2].replace(".", "_")
        if prefix == "lycoris":
            is_text = rest.startswith(("text_model_", "encoder_layers_"))
            prefix = family.text_encoders[0].lora_prefix if is_text else "lora_unet"
        if prefix.startswith("lora_te"):
            # transformers from 5.6 on has no such level any more.
            rest = rest if rest.startswith(("text_model_", "text_projection")) else f"text_model_{rest}"
        return canonical_name(f"{prefix}_{rest}", family)
    single = re.fullmatch(r"(?:model\.)?diffusion_model\.(.+)", source)
    if single:
        return canonical_name("lora_unet_" + single[1].replace(".", "_"), family)
    return _from_diffusers(source, family)


def _from_diffusers(source: str, family: Family) -> str:
    """kohya's name of a layer like `unet.down_blocks.0…to_q` or `text_encoder.text_model…`."""
    part, _, module = source.partition(".")
    if part in ("text_model", "encoder"):
        part, module = "text_encoder", source
    elif part not in ("unet", "text_encoder", "text_encoder_2"):
        part, module = "unet", source
    if part == "unet":
        # diffusers before 0.22 kept attention LoRAs in "processors" beside the projections.
        module = re.sub(r"\.processor\.to_(q|k|v|out)_lora$", r".to_\1", module)
        module = re.sub(r"\.to_out$", ".to_out.0", module)
    elif not module.startswith(("text_model.", "text_projection")):
        module = f"text_model.{module}"
    try:
        return kohya_name(family, part, module)
    except KeyError as error:
        raise InputError(
            f"The layer {source} has no place in a {family.label} model.",
            "Check that the file is a LoRA for Stable Diffusion.",
        ) from error


def _as_plain(shapes: Mapping[str, Shape], parsed: Mapping[str, tuple[str, str]]) -> dict[str, Shape]:
    """The layers as if each were a plain LoRA's: a key with what its `down` would have, for their family."""
    widths: dict[str, int] = {}
    for key, (source, role) in parsed.items():
        width = shapes[key][1] if len(shapes[key]) > 1 else 0
        if role in ("down", "diff", "hada_w1_b", "a2"):
            widths[source] = width
        elif role in ("lokr_w1", "lokr_w1_b", "lokr_w2", "lokr_w2_b"):
            widths[source] = widths.get(source, 1) * width
        else:
            widths.setdefault(source, 1)
    return {f"{source}.lora_down.weight": (1, width) for source, width in widths.items()}
