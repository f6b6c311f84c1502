"""Which kind of adapter a layer's tensors make, what is wrong with them, and the changes that they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from lib_copier.lora.adapters import Dora, Full, Ia3, full, glora, loha, lokr
from lib_copier.lora.layer import Layer, WeightChange
from lib_copier.lora.precision import FLOATS, Array
from lib_copier.model_file.families import Shape
from lib_copier.model_file.header import TensorInfo

_SHARED = frozenset({"alpha", "dora_scale", "magnitude", "diff_b"})
# No weight of any model that is read is near this size: what claims it is broken.
_MOST_ELEMENTS = 1 << 28


@dataclass(frozen=True)
class Kind:
    """A kind by the roles that its tensors must and may have, beside the shared ones."""

    name: str
    needed: frozenset[str]
    optional: frozenset[str]


_KINDS = tuple(
    Kind(name, frozenset(needed.split()), frozenset(optional.split()))
    for name, needed, optional in (
        ("LoRA", "up down", "mid"),
        ("LoHa", "hada_w1_a hada_w1_b hada_w2_a hada_w2_b", "hada_t1 hada_t2"),
        ("LoKr", "lokr_w1 lokr_w2", ""),
        ("LoKr", "lokr_w1 lokr_w2_a lokr_w2_b", "lokr_t2"),
        ("LoKr", "lokr_w1_a lokr_w1_b lokr_w2", ""),
        ("LoKr", "lokr_w1_a lokr_w1_b lokr_w2_a lokr_w2_b", "lokr_t2"),
        ("GLoRA", "a1 a2 b1 b2", ""),
        ("(IA)3", "factor on_input", ""),
        ("full difference", "diff", ""),
        ("norm", "w_norm", "b_norm"),
        ("bias", "diff_b", ""),
    )
)


def kind_of(roles: Collection[str]) -> Kind:
    """The kind that tensors of these roles make, or the one that lacks the fewest of them."""
    own = set(roles) - _SHARED or set(roles)
    return min(_KINDS, key=lambda kind: (len(kind.needed - own), len(own - kind.needed - kind.optional)))


def kind_name(roles: Collection[str]) -> str:
    """What people call it: DoRA is told with the kind that it is on."""
    kind = kind_of(roles).name
    if not {"dora_scale", "magnitude"} & set(roles):
        return kind
    return "DoRA" if kind == "LoRA" else f"DoRA on {kind}"


def layer_faults(name: str, infos: Mapping[str, TensorInfo]) -> list[str]:
    """Everything that a layer's tensors (by role) lack, a sentence each."""
    kind = kind_of(infos)
    missing = sorted(kind.needed - set(infos))
    if missing:
        return [f"{name} has no {' and no '.join(missing)} matrix"]
    strange = sorted(set(infos) - kind.needed - kind.optional - _SHARED)
    if strange:
        return [f"{name} is {kind.name}, but has {', '.join(strange)} as well"]
    faults = [
        f"{name}: its {role} is {info.dtype}, not a floating-point type"
        for role, info in infos.items()
        if role not in ("alpha", "on_input") and info.dtype not in FLOATS
    ]
    shapes = {role: info.shape for role, info in infos.items()}
    problem = None
    if any(int(np.prod(shapes.get(role, ()))) != 1 for role in ("alpha", "on_input")):
        problem = "alpha or on_input is more than one number"
    elif any(0 in shape for shape in shapes.values()):
        problem = "it has rank or size 0"
    elif kind.name == "LoRA":
        problem = _plain_problem(shapes)
    return faults + ([f"{name}: {problem}"] if problem else [])


def _plain_problem(shapes: Mapping[str, Shape]) -> str | None:
    """What is wrong with the shapes of one plain layer, or None."""
    up, down, mid = shapes["up"], shapes["down"], shapes.get("mid")
    told = f"up {list(up)} and down {list(down)}"
    if len(up) not in (2, 4) or len(down) not in (2, 4):
        return f"{told} are no matrices or kernels"
    if len(up) == 4 and up[2:] != (1, 1):
        return f"{told}: up must be 1x1"
    if mid is None:
        return None if up[1] == down[0] else f"{told} differ in rank"
    if len(mid) != 4 or (len(down) == 4 and down[2:] != (1, 1)):
        return f"{told} with mid {list(mid)} are no factored kernel"
    return None if up[1] == mid[0] and mid[1] == down[0] else f"{told} do not fit mid {list(mid)}"


def changes_of(
    roles: Mapping[str, Array],
    kernel: tuple[int, ...],
    told_scale: Callable[[int | None], float | None],
    difference: Full | None = None,
) -> dict[str, WeightChange]:
    """What a layer's tensors change: its weight under ``""``, its bias under ``".bias"``.

    Parameters
    ----------
    roles:
        The tensors by role; those that `layer_faults` finds nothing wrong with.
    kernel:
        What the layer's name tells of its weight, for kinds that do not keep it.
    told_scale:
        The strength that the file's settings tell for a rank, if they do.
    difference:
        The whole difference, where the layer has one.

    Raises
    ------
    ValueError
        Where the shapes do not fit together.
    """
    kind = kind_of(roles if difference is None else {*roles, "diff"}).name
    found: dict[str, WeightChange] = {}
    for role in ("diff_b", "b_norm"):
        if role in roles:
            found[".bias"] = full(roles[role].reshape(-1, 1), (roles[role].size,))
    if kind == "bias":
        return found
    alpha = float(roles["alpha"].reshape(-1)[0]) if "alpha" in roles else None

    def scale_of(rank: int | None) -> float:
        if alpha is not None:
            return alpha / rank if rank else 1.0
        told = told_scale(rank)
        return 1.0 if told is None else told

    change: WeightChange
    if difference is not None:
        change = difference
    elif kind == "norm":
        change = full(roles["w_norm"].reshape(-1, 1), (roles["w_norm"].size,))
    elif kind == "(IA)3":
        change = Ia3((roles["factor"].size,), roles["factor"], bool(roles["on_input"].reshape(-1)[0]), kernel)
    elif kind == "LoRA":
        rank = len(roles["down"])
        told = told_scale(rank) if alpha is None else None
        change = Layer(roles["up"], roles["down"], roles.get("mid"), alpha if told is None else told * rank)
    else:
        change = {"LoHa": loha, "LoKr": lokr, "GLoRA": glora}[kind](roles, kernel, scale_of)
    if kind not in ("LoRA", "(IA)3") and int(np.prod(change.size, dtype=float)) > _MOST_ELEMENTS:
        raise ValueError("no model has a weight as large as it changes")
    found[""] = _decomposed(change, roles)
    return found


def _decomposed(change: WeightChange, roles: Mapping[str, Array]) -> WeightChange:
    """The change itself, or the DoRA on it: PEFT's lengths are the outputs', LyCORIS' tell by their shape."""
    magnitude = roles.get("magnitude", roles.get("dora_scale"))
    if magnitude is None:
        return change
    is_on_input = "magnitude" not in roles and magnitude.ndim > 1 and magnitude.shape[0] == 1 < magnitude.size
    return Dora(change.weight_shape, change, magnitude, is_on_input)
