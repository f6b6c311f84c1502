"""Trying a prompt: pictures of a slider at its weights without a run, and the way into the sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_copier.errors import InputError
from lib_copier.steps.device import is_cpu
from lib_copier.txt2img.pictures import PictureRequest, check_requests
from lib_copier.ui.acts.act import Outcome, require_project
from lib_copier.ui.page import Page
from lib_copier.ui.printer import WEIGHTS, Trial
from lib_copier.ui.request import Details, text_of, values_of
from lib_copier.ui.trials import choices, device_of, own_prompts

_WORDS = ("prompt", "negative_prompt")
_NUMBERS = ("seed", "width", "height")


def show(page: Page, details: Details) -> Outcome:
    """Print the prompt of the form with the LoRA that it names, and with another beside it."""
    require_project(page)
    values = values_of(details)
    known = choices(page)
    loras: list[tuple[str, Path]] = []
    for field in ("lora", "beside"):
        name = text_of(values, field)
        if name and name not in known:
            raise InputError("That LoRA is not there yet.", "Choose one of the list.")
        if name and all(name != other for other, _ in loras):
            loras.append((name, known[name]))
    if not loras:
        raise InputError("There is no LoRA to try yet.", "Run the project up to one.")
    recipe = page.opened.recipe
    prediction = str(recipe.get("project.prediction"))
    checkpoint, vae = page.opened.project.folder / recipe.checkpoint, str(recipe.get("project.vae") or "")
    title = text_of(values, "checkpoint")
    if title:
        found = next((one for one in page.host.checkpoints() if one.title == title), None)
        if found is None:
            raise InputError("The host lists no such checkpoint.", "Look for checkpoints again.")
        # What the user said is about the project's own.
        checkpoint, vae, prediction = found.path, "", "auto"
    request = _request(page, values)
    trial = Trial(
        page.opened.folder_name,
        checkpoint,
        page.opened.project.folder / vae if vae else None,
        prediction,
        device_of(page),
        request,
        tuple(loras),
        page.workshop.live_folder,
    )
    is_host_gpu = page.host.info.is_webui and not is_cpu(trial.device)
    page.workshop.printer.show(trial, is_host_gpu=is_host_gpu)
    return Outcome()


def move(page: Page, details: Details) -> Outcome:
    """The slider stands elsewhere: what is nearest to it comes first."""
    number = text_of(details, "value", longest=4)
    if number.isdecimal() and int(number) < len(WEIGHTS):
        page.workshop.printer.move(WEIGHTS[int(number)])
    return Outcome()


def stop(page: Page, details: Details) -> Outcome:
    """Print no more of it."""
    page.workshop.printer.stop()
    return Outcome()


def use(page: Page, details: Details) -> Outcome:
    """Make the form's prompt the first of those that the sweep tries."""
    require_project(page)
    prompt = text_of(values_of(details), "prompt").strip()
    if not prompt:
        raise InputError("There is no prompt yet.", "Type one first.")
    edit = page.edit
    has_own = edit is not None and any(key == "sweep.prompts" for key, _ in edit.settings)
    key = f"edits.{edit.name}.sweep.prompts" if edit is not None and has_own else "sweep.prompts"
    known = own_prompts(page)
    page.opened.project.set({key: (prompt, *(one for one in known if one != prompt))})
    return Outcome(page.texts("said.in_sweep"))


def _request(page: Page, values: Details) -> PictureRequest:
    """The form's picture, sampled as the sweep's.

    Raises
    ------
    FaultsError
        Everything that is wrong with it.
    """
    recipe, edit = page.opened.recipe, page.edit
    told: dict[str, Any] = {
        name: recipe.get(f"sweep.{name}", edit) for name in ("steps", "cfg_scale", "clip_skip", "sampler")
    }
    told |= {name: text_of(values, name) for name in _WORDS}
    for name in _NUMBERS:
        text = text_of(values, name, longest=20).strip()
        if not text.removeprefix("-").isdecimal():
            raise InputError(f"{name} must be a whole number, not {text!r}.", "Type one.")
        told[name] = int(text)
    request = PictureRequest.from_mapping(told).with_seed().with_named_loras(recipe.lora_named)
    check_requests([request])
    return request
