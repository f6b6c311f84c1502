"""The optimisers that a LoRA can be trained with, and the arguments of each: nothing else is ever imported.

A recipe may come with a downloaded file, so a name is looked up here and never taken for a module's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lib_copier.settings.option import Option


@dataclass(frozen=True)
class Argument:
    """One argument of an optimiser: `count` numbers or yes/no values of a `kind` and an inclusive range."""

    name: str
    kind: str = "float"
    minimum: float | None = 0.0
    maximum: float | None = 1.0
    count: int = 1

    def parse(self, text: str) -> Any:
        """The value, a tuple where `count` is more than 1; ValueError says in one sentence what is taken."""
        one = Option(self.name, self.kind, None, "", minimum=self.minimum, maximum=self.maximum)
        if self.count == 1:
            return one.parse(text)
        parts = text.strip().strip("()[]").rstrip(", ").split(",")
        if len(parts) != self.count:
            raise ValueError(f"{self.name} is {self.count} numbers divided by commas, not {text[:60]!r}")
        return tuple(one.parse(part) for part in parts)


def _yes_or_no(name: str) -> Argument:
    return Argument(name, "bool", None, None)


_BETAS, _THREE_BETAS = Argument("betas", count=2), Argument("betas", count=3)
_EPS, _DECAY = Argument("eps"), Argument("weight_decay", maximum=10.0)
_ADAM = (_BETAS, _EPS, _DECAY)
_SMALLEST_8BIT = Argument("min_8bit_size", "int", 0, 1 << 40)
_ADAPTIVE = (
    *_ADAM,
    *(_yes_or_no(name) for name in ("decouple", "use_bias_correction")),
    *(Argument("d0", minimum=1e-12), Argument("growth_rate", minimum=1.0, maximum=1e6)),
)
_LION_RATES, _FACTORS = (1e-6, 1e-3), (0.1, 10.0)
_AVERAGED = (*_ADAM, Argument("r", maximum=10.0), Argument("weight_lr_power", maximum=10.0))


@dataclass(frozen=True)
class Optimizer:
    """Where an optimiser lives, and what it takes.

    Parameters
    ----------
    module, kind:
        Its module and class.
    package:
        What to install for it.
    sd_scripts:
        Its name for ``--optimizer_type``.
    fixed:
        Arguments that it needs to follow our learning rate.
    rates:
        Between which learning rates LoRAs are trained with it. Those that find their own (Mishchenko and
        Defazio 2023, "Prodigy") take a factor of it, about 1; Lion a tenth of Adam's (Chen et al. 2023).
    """

    module: str
    kind: str
    package: str
    sd_scripts: str
    arguments: tuple[Argument, ...]
    fixed: tuple[tuple[str, Any], ...] = ()
    rates: tuple[float, float] = (1e-5, 1e-2)


OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType(
    {
        "adamw": Optimizer("torch.optim", "AdamW", "torch", "AdamW", (*_ADAM, _yes_or_no("amsgrad"))),
        "adamw8bit": Optimizer(
            "bitsandbytes.optim", "AdamW8bit", "bitsandbytes", "AdamW8bit", (*_ADAM, _SMALLEST_8BIT)
        ),
        "lion": Optimizer(
            "lion_pytorch", "Lion", "lion-pytorch", "Lion",
            (_BETAS, _DECAY, _yes_or_no("decoupled_weight_decay")),
            rates=_LION_RATES,
        ),
        "lion8bit": Optimizer(
            "bitsandbytes.optim", "Lion8bit", "bitsandbytes", "Lion8bit", (_BETAS, _DECAY, _SMALLEST_8BIT),
            rates=_LION_RATES,
        ),
        "prodigy": Optimizer(
            "prodigyopt", "Prodigy", "prodigyopt", "Prodigy",
            (*_ADAPTIVE, Argument("beta3"), Argument("d_coef", minimum=0.01, maximum=100.0),
             _yes_or_no("safeguard_warmup"), Argument("slice_p", "int", 1, 1024)),
            rates=_FACTORS,
        ),
        "dadaptadam": Optimizer(
            "dadaptation", "DAdaptAdam", "dadaptation", "DAdaptAdam", _ADAPTIVE, rates=_FACTORS
        ),
        "came": Optimizer(
            "came_pytorch", "CAME", "came-pytorch", "pytorch_optimizer.CAME",
            (_THREE_BETAS, _DECAY, Argument("clip_threshold", minimum=0.01, maximum=100.0)),
        ),
        "adafactor": Optimizer(
            "transformers.optimization", "Adafactor", "transformers", "Adafactor",
            (Argument("eps", count=2), Argument("clip_threshold", minimum=0.01, maximum=100.0),
             Argument("decay_rate", minimum=-1.0, maximum=0.0), Argument("beta1"), _DECAY),
            # It finds its own learning rate unless it is told not to.
            fixed=(("relative_step", False), ("scale_parameter", False), ("warmup_init", False)),
        ),
        "adamwschedulefree": Optimizer(
            "schedulefree", "AdamWScheduleFree", "schedulefree", "AdamWScheduleFree",
            (*_AVERAGED, Argument("warmup_steps", "int", 0, 1_000_000)),
        ),
        "radamschedulefree": Optimizer(
            "schedulefree", "RAdamScheduleFree", "schedulefree", "RAdamScheduleFree",
            (*_AVERAGED, _yes_or_no("silent_sgd_phase")),
        ),
        "sgd": Optimizer(
            "torch.optim", "SGD", "torch", "SGD", (Argument("momentum"), _DECAY, _yes_or_no("nesterov")),
            rates=(1e-3, 10.0),
        ),
    }
)  # fmt: skip
"""By the names that recipes use."""


def optimizer_arguments(name: str, given: Sequence[str]) -> dict[str, Any]:
    """The typed arguments of an optimiser from ``NAME=VALUE`` texts, after those that are fixed for it.

    Raises
    ------
    ValueError
        With every fault, where `optimizer_faults` finds any.
    """
    faults = list(optimizer_faults(name, given))
    if faults:
        raise ValueError("; ".join(faults))
    known = {argument.name: argument for argument in OPTIMIZERS[name].arguments}
    parts = [[part.strip() for part in text.split("=", 1)] for text in given]
    return dict(OPTIMIZERS[name].fixed) | {key: known[key].parse(value) for key, value in parts}


def optimizer_faults(name: str, given: Sequence[str]) -> Iterator[str]:
    """What is wrong with an optimiser's name and its ``NAME=VALUE`` arguments; nothing is imported."""
    if name not in OPTIMIZERS:
        yield f"optimizer is one of {', '.join(OPTIMIZERS)}, not {name[:60]!r}"
        return
    known = {argument.name: argument for argument in OPTIMIZERS[name].arguments}
    seen = set()
    for text in given:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            yield f"optimizer_args: {text[:60]!r} is not NAME=VALUE"
        elif key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            yield f"optimizer_args: {key[:60]!r} is no argument of {name} ({meant})"
        elif key in seen:
            yield f"optimizer_args: {key} is given twice"
        else:
            seen.add(key)
            try:
                known[key].parse(value)
            except ValueError as error:
                yield f"optimizer_args: {error}"
