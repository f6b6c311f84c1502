"""What the steps are put together from: files of a recipe, models with LoRAs on them, engines, names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_copier.engines.choose import choose_engine, engine_named
from lib_copier.engines.task import Command, MergeTask, Task
from lib_copier.errors import InputError
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.model_file.checkpoint import known_facts
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.settings.training import WeightedLora
from lib_copier.txt2img.pictures import PictureRequest
from lib_copier.txt2img.prompt import networks

LORA = "lora.safetensors"
CHECKPOINT = "model.safetensors"
PICTURE = "picture.png"
CAPTION = "caption.txt"
RESULT = "result.json"

LORA_OUTPUT = (Output(LORA, "lora"),)


@dataclass(frozen=True)
class Model:
    """A checkpoint with LoRAs that act on it in memory: how the method's models exist without files."""

    inputs: tuple[StepInput, ...]
    prediction: str = "auto"

    def with_lora(self, step: str, weight: float = 1.0, *, path: str = "") -> Model:
        """The same model with one more LoRA on it: a step's, or a file's."""
        output = LORA if step else ""
        added = StepInput("base_lora", step=step, output=output, path=path, weight=weight)
        return replace(self, inputs=(*self.inputs, added))

    def as_file(self, step: str) -> Model:
        """The model that a step has written out; the VAE stays what it was."""
        rest = tuple(one for one in self.inputs if one.role == "vae")
        return replace(self, inputs=(StepInput("checkpoint", step=step, output=CHECKPOINT), *rest))

    @property
    def lora_inputs(self) -> tuple[StepInput, ...]:
        """The LoRAs on it."""
        return tuple(one for one in self.inputs if one.role == "base_lora")


def checkpoint_model(recipe: Recipe, checkpoint: str = "") -> Model:
    """The recipe's checkpoint (or another) as it is on disk."""
    path = checkpoint or recipe.checkpoint
    inputs = [StepInput("checkpoint", path=path)]
    vae = str(recipe.get("project.vae") or "")
    if vae:
        inputs.append(StepInput("vae", path=vae))
    # The user's word is about the project's own checkpoint.
    told = "auto" if checkpoint else str(recipe.get("project.prediction"))
    return Model(tuple(inputs), resolved_prediction(path, told))


def model_file(recipe: Recipe, step_id: str, model: Model) -> Step:
    """The step that writes a model out as the memo does: its LoRAs merged into its checkpoint, in float."""
    return Step(
        step_id,
        step_id.partition("/")[0],
        _merge,
        inputs=model.inputs,
        params=(("prediction", model.prediction),),
        outputs=(Output(CHECKPOINT, "checkpoint"),),
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "merge"),
    )


def _merge(place: Workplace) -> Command:
    task = MergeTask(
        weighted_loras(place, "base_lora"),
        place.out / CHECKPOINT,
        checkpoint=place.path("checkpoint"),
        prediction=str(place.params["prediction"]),
        save_precision="float",
        device=merge_device(place),
    )
    return engine_command(place, task)


def weighted_loras(place: Workplace, role: str) -> tuple[WeightedLora, ...]:
    """The LoRAs of that role at their weights."""
    return tuple(WeightedLora(path, weight) for path, weight in place.weighted(role))


def resolved_prediction(checkpoint: str, told: str) -> str:
    """What a checkpoint predicts, as the user, its file or its yaml tells; ``auto`` where none does.

    It is part of keys: the yaml is no input of any step.
    """
    facts = known_facts(checkpoint, told)
    return (facts.prediction if facts else None) or told


def model_job(place: Workplace) -> dict[str, Any]:
    """A model in the words of our children's job files."""
    vae = place.paths("vae")
    return {
        "checkpoint": str(place.path("checkpoint")),
        "vae": str(vae[0]) if vae else None,
        "prediction": place.params.get("prediction", "auto"),
        "base_loras": [{"path": str(path), "weight": weight} for path, weight in place.weighted("base_lora")],
        "device": place.params.get("device", "auto"),
    }


def prompt_loras(recipe: Recipe, prompts: Iterable[str]) -> tuple[StepInput, ...]:
    """The LoRAs that prompts name, as far as the recipe has their files (`check` tells of the others)."""
    if not recipe.texts("project.loras"):
        return ()
    names = dict.fromkeys(tag.name for text in prompts for tag in networks(text)[1])
    found = (recipe.lora_named(name) for name in names)
    return tuple(StepInput("prompt_lora", path=path.as_posix()) for path in found if path is not None)


def picture_request(place: Workplace, values: Mapping[str, Any]) -> PictureRequest:
    """A picture with the LoRAs that its prompt names, out of the step's inputs."""
    files = {path.stem: path for path in place.paths("prompt_lora")}
    return PictureRequest(**values).with_named_loras(files.get)


def engine_for(recipe: Recipe, group: str) -> str:
    """The engine that does this group's steps."""
    own = str(recipe.get(f"{group}.engine"))
    name = str(recipe.get("project.engine")) if own == "project" else own
    return choose_engine(name)


def engine_command(place: Workplace, task: Task) -> Command:
    """The engine's command for a task.

    Raises
    ------
    InputError
        Where the engine says that it cannot do this.
    """
    engine = engine_named(place.step.engine)
    refusals = list(engine.refusals(task))
    if refusals:
        told = "; ".join(refusal.removesuffix(".") for refusal in refusals)
        raise InputError(
            f"The engine {engine.name} cannot do step {place.step.id}: {told}.",
            "Choose another engine for it, or change these settings.",
        )
    return engine.command(task, place.scratch)


def device_of(recipe: Recipe) -> tuple[tuple[str, Any], ...]:
    """The device, which is not part of a key: another one gives the same up to rounding, not bit by bit."""
    return (("device", recipe.get("project.device")),)


def merge_device(place: Workplace) -> str:
    """Where LoRA algebra runs: on the CPU, unless a GPU was named."""
    device = str(place.params.get("device", "auto"))
    return device if device.startswith("cuda") else "cpu"


def fixed(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Parameters in the form that a step holds."""
    return tuple(values.items())


def judged_size(recipe: Recipe, edit: Edit | None) -> tuple[int, int] | None:
    """Width and height of the pictures made to judge by; None: the origin picture's."""
    width, height = (recipe.whole(f"sweep.{side}", edit) for side in ("width", "height"))
    return (width, height) if width and height else None
