"""How others name LoRA tensors: a registry of dialects, and the kinds that are no plain LoRA.

A dialect is data: patterns from a key to (layer, role). To support another one, add it to DIALECTS
with a table in its test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lib_copier.disk import found_object
from lib_copier.errors import InputError
from lib_copier.families import SD1, Family
from lib_copier.lora.names import canonical_name, kohya_name

ROLES = ("up", "down", "mid", "alpha")


@dataclass(frozen=True)
class Dialect:
    """One way of naming: `patterns` find groups `layer` and `role`; `roles` translates that role.

    `to_kohya` turns the layer's name into kohya's, given the family.
    """

    name: str
    patterns: tuple[re.Pattern[str], ...]
    roles: Mapping[str, str]
    to_kohya: Callable[[str, Family], str]

    def parse(self, key: str) -> tuple[str, str] | None:
        """(layer, role) of a key in this dialect, or None."""
        for pattern in self.patterns:
            found = pattern.fullmatch(key)
            if found:
                return found["layer"], self.roles[found["role"]]
        return None


def _diffusers_to_kohya(layer: str, family: Family) -> str:
    """kohya's name of a layer like `unet.down_blocks.0…to_q` or `text_encoder.text_model…`."""
    layer = layer.removeprefix("base_model.model.")
    part, _, module = layer.partition(".")
    if part not in ("unet", "text_encoder", "text_encoder_2"):
        part, module = "unet", layer
    # diffusers before 0.22 kept attention LoRAs in "processors" beside the projections.
    module = re.sub(r"\.processor\.to_(q|k|v|out)_lora$", r".to_\1", module)
    module = re.sub(r"\.to_out$", ".to_out.0", module)
    try:
        return kohya_name(family, part, module)
    except KeyError as error:
        raise InputError(
            f"The layer {layer} has no place in a {family.label} model.",
            "Check that the file is a LoRA for Stable Diffusion.",
        ) from error


_DIFFUSERS_LAYER = (
    r"(?P<layer>(?:base_model\.model\.)?"
    r"(?:unet|text_encoder|text_encoder_2|down_blocks|up_blocks|mid_block)\..+?)"
)
DIALECTS = (
    Dialect(
        "kohya",
        (
            re.compile(r"(?P<layer>lora_(?:unet|te|te1|te2)_[^.]+)\.lora_(?P<role>up|down|mid)\.weight"),
            re.compile(r"(?P<layer>lora_(?:unet|te|te1|te2)_[^.]+)\.(?P<role>alpha)"),
        ),
        {role: role for role in ROLES},
        canonical_name,
    ),
    Dialect(
        "PEFT",
        (
            re.compile(_DIFFUSERS_LAYER + r"\.lora_(?P<role>[AB])(?:\.default|\.default_0)?\.weight"),
            re.compile(_DIFFUSERS_LAYER + r"\.(?P<role>alpha)"),
        ),
        {"A": "down", "B": "up", "alpha": "alpha"},
        _diffusers_to_kohya,
    ),
    Dialect(
        "diffusers",
        (
            re.compile(_DIFFUSERS_LAYER + r"\.lora(?:_linear_layer|_conv)?\.(?P<role>up|down)\.weight"),
            re.compile(_DIFFUSERS_LAYER + r"\.(?P<role>up|down)\.weight"),
            re.compile(_DIFFUSERS_LAYER + r"\.lora(?:_linear_layer|_conv)?\.(?P<role>alpha)"),
            re.compile(_DIFFUSERS_LAYER + r"\.(?P<role>alpha)"),
        ),
        {role: role for role in ROLES},
        _diffusers_to_kohya,
    ),
)

# What other kinds of adapters call their tensors; the first that fits names a key's kind.
_OTHER_KINDS = (
    ("LoHa", re.compile(r".*\.hada_\w+(\.weight)?")),
    ("LoKr", re.compile(r".*\.lokr_\w+(\.weight)?")),
    ("DoRA", re.compile(r".*\.(dora_scale|lora_magnitude_vector)(\.\w+)*")),
    ("OFT", re.compile(r".*\.(oft_blocks|oft_diag|oft_r|oft_s|boft_\w+)(\.\w+)*")),
    ("(IA)3", re.compile(r".*\.(on_input|ia3_l)(\.\w+)*")),
    ("GLoRA", re.compile(r".*\.[ab][12]\.weight")),
    ("full difference", re.compile(r".*\.(diff|diff_b|set_weight)")),
    ("norm", re.compile(r".*\.(w_norm|b_norm)")),
    ("rank-dropout LoRA (dyn)", re.compile(r".*\.dyn_(up|down|alpha)(\.weight)?")),
    ("bundled embedding", re.compile(r"bundle_emb\..*")),
    (
        "whole model",
        re.compile(r"(model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\..*"),
    ),
)


def choose_dialect(keys: Iterable[str], subject: str) -> Dialect:
    """The dialect that every key of a file belongs to.

    Raises
    ------
    InputError
        Where keys belong to another kind of adapter (named, with layers), or to nothing known.
    """
    names = list(keys)
    if not names:
        raise InputError(f"{subject} holds no tensors.", "Give a LoRA file.")
    kinds: dict[str, list[str]] = {}
    for key in names:
        kind = next((kind for kind, pattern in _OTHER_KINDS if pattern.fullmatch(key)), None)
        if kind:
            kinds.setdefault(kind, []).append(key)
    if kinds:
        told = "; ".join(f"{kind}: {len(found)} tensors ({_some(found)})" for kind, found in kinds.items())
        raise InputError(
            f"{subject} is not a plain LoRA. It holds {told}.",
            "Only LoRA and LoCon layers (up, down, mid, alpha) can be combined exactly; "
            "use a file of that kind.",
        )
    counts = {dialect.name: [key for key in names if dialect.parse(key) is None] for dialect in DIALECTS}
    best = min(DIALECTS, key=lambda dialect: len(counts[dialect.name]))
    unknown = counts[best.name]
    if unknown:
        raise InputError(
            f"{subject} holds {len(unknown)} tensors of an unknown kind ({_some(unknown)}).",
            "Give a LoRA in kohya's, PEFT's or diffusers' naming.",
        )
    return best


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


@dataclass(frozen=True)
class KeyTable:
    """A file's keys sorted: layer (kohya's name) -> role -> key, and the dialect they were in."""

    dialect: Dialect
    layers: dict[str, dict[str, str]]
    sources: dict[str, str]
    """kohya's name -> what the file calls the layer."""


def sort_keys(keys: Iterable[str], family: Family | None, subject: str) -> KeyTable:
    """Sort a LoRA file's keys by layer.

    Raises
    ------
    InputError
        As `choose_dialect`; also where two spellings of one layer stand in the same file.
    """
    names = list(keys)
    dialect = choose_dialect(names, subject)
    layers: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    for key in names:
        parsed = dialect.parse(key)
        if parsed is None:  # choose_dialect has made sure
            continue
        source, role = parsed
        layer = dialect.to_kohya(source, family or SD1)
        if sources.setdefault(layer, source) != source or role in layers.get(layer, {}):
            raise InputError(
                f"{subject} holds the layer {layer} twice ({sources[layer]} and {source}).",
                "Make the file again.",
            )
        layers.setdefault(layer, {})[role] = key
    return KeyTable(dialect, layers, sources)


def adapter_alpha(metadata: Mapping[str, str], source: str, rank: int) -> float | None:
    """The alpha that diffusers keeps in the header (`lora_adapter_metadata`) instead of in tensors."""
    settings = found_object(metadata.get("lora_adapter_metadata", "{}"))
    part, _, module = source.partition(".")
    pattern = settings.get(f"{part}.alpha_pattern")
    alpha = settings.get(f"{part}.lora_alpha")
    for name, value in (pattern if isinstance(pattern, dict) else {}).items():
        if module == name or module.endswith(f".{name}"):
            alpha = value
    if not isinstance(alpha, (int, float)):
        return None
    return float(alpha) * rank**0.5 if settings.get(f"{part}.use_rslora") is True else float(alpha)
