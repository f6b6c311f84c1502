"""After a missed goal: train longer, change what probably keeps it from the goal, or go on anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_copier.graph.status import StepStatus
from lib_copier.model_file.checkpoint import known_facts
from lib_copier.recipe.model import Edit, Effect, Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.settings.goals import SliderGoal, number

LONGER, CHANGE, ACCEPT = "longer", "change", "accept"
_LONGER = 1.5
_FEWEST_MORE = 100
"""Steps: what a training of a few steps lacks is not half as many again."""
_DB_MORE = 2.0
_FEWEST_RANKS = 16
_GOOD_RANK = 32
_GOOD_SHARE = 0.9
"""Of steps with another prompt in the caption's place: so many, and hardly anything leaks."""
_STRONGER = 1.5
_MANY_PAIRS = 32
_FOUND_RATE = "a learning rate that is found suits this very checkpoint"


@dataclass(frozen=True)
class Remedy:
    """One way on.

    Parameters
    ----------
    kind:
        ``longer``, ``change`` or ``accept``.
    values:
        What `Project.set` is given; empty where no setting can mend it.
    reason:
        Why it is suggested, a phrase.
    """

    kind: str
    values: Mapping[str, Any]
    reason: str = ""

    def text(self) -> str:
        """The way in words, with the settings as they are typed."""
        typed = " ".join(f"{key}={_typed(value)}" for key, value in self.values.items())
        return {
            LONGER: f"train longer ({typed})",
            CHANGE: f"change {typed} ({self.reason})" if typed else self.reason,
            ACCEPT: f"go on anyway ({typed})",
        }[self.kind]


def remedies(recipe: Recipe, missed: StepStatus) -> tuple[Remedy, ...]:
    """The ways on from a check, a survival or a sweep that missed its goal; the first is the best bet."""
    kind, *names = missed.id.split("/")
    if kind == "check":
        return tuple(_of_copier(recipe, names[0]))
    edit = recipe.as_made().edit(names[-1])
    return tuple(_of_edit(edit) if kind == "survival" else _of_slider(recipe, edit, missed))


def advice(recipe: Recipe, missed: StepStatus) -> str:
    """What to look at and what to do, in one line for a terminal."""
    ways = " or ".join(remedy.text() for remedy in remedies(recipe, missed))
    told = f"By `run.py set PROJECT KEY=VALUE`: {ways}."
    sheet = missed.artifact.result.get("sheet") if missed.artifact else None
    return f"Look at {missed.artifact.file(sheet)}. {told}" if missed.artifact and sheet else told


def longer_copier(recipe: Recipe) -> dict[str, Any]:
    """Half as many steps again for the copiers, and a higher similarity to stop at."""
    values: dict[str, Any] = {"copier.steps": _more_steps(recipe, "copier.steps")}
    if recipe.get("copier.copied_psnr") is not None:
        decibels = recipe.number("copier.copied_psnr") + _DB_MORE
        values["copier.copied_psnr"] = _at_most("copier.copied_psnr", decibels)
    return values


def _of_copier(recipe: Recipe, origin: str) -> Iterator[Remedy]:
    yield Remedy(LONGER, longer_copier(recipe))
    if recipe.whole("copier.rank") < _FEWEST_RANKS:
        rank = recipe.whole("copier.rank")
        wider = {"copier.rank": _GOOD_RANK, "copier.alpha": float(_GOOD_RANK)}
        yield Remedy(CHANGE, wider, f"a rank of {rank} holds too little of a picture")
    elif not recipe.get("copier.find_rate"):
        yield Remedy(CHANGE, {"copier.find_rate": True}, _FOUND_RATE)
    elif not recipe.number("copier.other_prompt_share"):
        reason = "a copier that learns with its caption alone prints for that caption alone"
        yield Remedy(CHANGE, {"copier.other_prompt_share": _GOOD_SHARE}, reason)
    else:
        yield Remedy(CHANGE, {}, "take a plainer origin picture: what is full of detail is hard to copy")
    yield Remedy(ACCEPT, {f"origins.{origin}.accept_copier": True})


def _of_edit(edit: Edit) -> Iterator[Remedy]:
    # Here, not above: numpy is not needed to read a recipe.
    from lib_copier.image.effect import MAX_STRENGTH

    stronger = tuple(
        replace(one, strength=min(MAX_STRENGTH, round(one.strength * _STRONGER, 2))) for one in edit.effects
    )
    reason = "what is stronger or coarser gets through the VAE better"
    if stronger != edit.effects:
        yield Remedy(CHANGE, {f"edits.{edit.name}.effects": stronger}, reason)
    else:
        yield Remedy(CHANGE, {}, f"edit it more strongly or more coarsely: {reason}")
    yield Remedy(ACCEPT, {f"edits.{edit.name}.edit.accept_faint": True})


def _of_slider(recipe: Recipe, edit: Edit, missed: StepStatus) -> Iterator[Remedy]:
    own = f"edits.{edit.name}."
    if recipe.method == "pairs":
        yield Remedy(LONGER, {f"{own}edit_lora.steps": _more_steps(recipe, "edit_lora.steps", edit)})
        yield _other_sampler(recipe, edit) or _more_pairs(recipe, edit)
    elif recipe.method == "difference":
        yield Remedy(LONGER, longer_copier(recipe))
        yield Remedy(CHANGE, {"project.method": "copier"}, "method A is cleaner: less of the picture shows")
    else:
        yield Remedy(LONGER, {f"{own}edit_lora.steps": _more_steps(recipe, "edit_lora.steps", edit)})
        yield _other_training(recipe, edit, missed)
    yield Remedy(ACCEPT, {f"{own}sweep.accept": True})


def _other_sampler(recipe: Recipe, edit: Edit) -> Remedy | None:
    """One whose steps are where an edit can be seen: Karras's begin at the highest level of a checkpoint.

    With zero terminal SNR that is sigma 4518, and of 20 steps five were below 10. So method C's outline came
    to a fidelity of 0.64; by Euler to 0.87.
    """
    facts = known_facts(str(recipe.get("project.checkpoint")))
    if facts is None or not facts.zero_terminal_snr:
        return None
    used = {f"edits.{edit.name}.sweep.sampler": recipe.get("sweep.sampler", edit)}
    used |= {f"origins.{one.name}.sampler": one.get("sampler") for one in recipe.origins if not one.is_given}
    changed = {key: "Euler" for key, sampler in used.items() if str(sampler).endswith(" Karras")}
    reason = "Karras takes most of its steps above what this checkpoint shows anything at"
    return Remedy(CHANGE, changed, reason) if changed else None


def _more_pairs(recipe: Recipe, edit: Edit) -> Remedy:
    """What method C's slider may lack: pictures to tell the edit from, or rank to hold it."""
    count = recipe.whole("pictures.pairs")
    if edit.effects and count < _MANY_PAIRS:
        return Remedy(
            CHANGE, {"pictures.pairs": 2 * count}, "more pictures tell the edit from what they show"
        )
    return _wider(recipe, edit)


def _other_training(recipe: Recipe, edit: Edit, missed: StepStatus) -> Remedy:
    """What to change in the edit LoRA's training, by what the slider lacks."""
    own, goal = f"edits.{edit.name}.edit_lora.", missed.step.goal
    result = missed.artifact.result if missed.artifact else {}
    if isinstance(goal, SliderGoal) and goal.shortfall("leak", result):
        share = number(recipe.get("edit_lora.other_prompt_share", edit)) or 0.0
        if share < _GOOD_SHARE:
            reason = "with more steps on other prompts less of the picture is learned"
            return Remedy(CHANGE, {f"{own}other_prompt_share": _GOOD_SHARE}, reason)
    if not recipe.get("edit_lora.find_rate", edit):
        return Remedy(CHANGE, {f"{own}find_rate": True}, _FOUND_RATE)
    if not recipe.get("edit_lora.against_origin", edit):
        reason = "what the copier still gets wrong is then not learned with the edit"
        return Remedy(CHANGE, {f"{own}against_origin": True}, reason)
    return _wider(recipe, edit)


def _wider(recipe: Recipe, edit: Edit) -> Remedy:
    own, rank = f"edits.{edit.name}.edit_lora.", recipe.whole("edit_lora.rank", edit)
    if rank < 2 * _GOOD_RANK:
        reason = f"a rank of {rank} may hold too little of this edit"
        return Remedy(CHANGE, {f"{own}rank": 2 * rank, f"{own}alpha": float(2 * rank)}, reason)
    return Remedy(CHANGE, {}, "take a stronger edit, or further origin pictures")


def _more_steps(recipe: Recipe, key: str, edit: Edit | None = None) -> int:
    steps = recipe.whole(key, edit)
    return round(_at_most(key, max(steps * _LONGER, steps + _FEWEST_MORE)))


def _at_most(key: str, value: float) -> float:
    most = OPTIONS[key].maximum
    return value if most is None else min(most, value)


def _typed(value: Any) -> str:
    """A value as it is typed behind ``KEY=``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "+".join(one.text() if isinstance(one, Effect) else str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
