"""Origins: adding, uploading, and generating or captioning them with the host."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from lib_copier.errors import InputError
from lib_copier.pictures import SETTINGS, PictureRequest, drawn_seed
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps.project import Project
from lib_copier.ui.acts.act import Outcome, require_project, require_room, the_origin
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of, uploaded, values_of
from lib_copier.ui.uploads import take

if TYPE_CHECKING:
    from PIL import Image


def add(page: Page, details: Details) -> Outcome:
    """One more origin, with the settings of the first and another seed."""
    require_project(page)
    made = page.opened.project.change(_with_one_more).recipe.origins[-1]
    return Outcome(view=page.view.at(origin=made.name))


def _with_one_more(recipe: Recipe) -> Recipe:
    require_room(recipe.origins, "origins")
    if not recipe.origins:
        return recipe.with_origin(Origin("first"))
    taken = {origin.name.casefold() for origin in recipe.origins}
    number = next(n for n in count(len(recipe.origins) + 1) if f"origin-{n}" not in taken)
    first = recipe.origins[0]
    seed = _whole(first, "seed") + number
    like = Origin(f"origin-{number}", first.settings)
    return recipe.with_origin(like.replaced(seed=seed, source="generate", file=""))


def remove(page: Page, details: Details) -> Outcome:
    """Take the shown origin out of the recipe; what was made of it stays until pruned."""
    require_project(page)
    page.opened.project.set({f"origins.{the_origin(page).name}": None}).forget_pictures()
    return Outcome(view=page.view.at(origin=""))


def upload(page: Page, details: Details) -> Outcome:
    """Take an uploaded picture as the shown origin."""
    from lib_copier.image.files import crop_to_multiple, read_picture

    require_project(page)
    name, content = uploaded(details)
    opened = read_picture(content)
    image, cropped = crop_to_multiple(opened.image)
    _take(page, image, {})
    notes = " ".join(note for note in (*opened.notes, cropped) if note)
    return Outcome(notes or page.texts("said.taken", name=name))


def generate_in_webui(page: Page, details: Details) -> Outcome:
    """Make the origin with the WebUI's loaded checkpoint and samplers, in a thread; the page asks again."""
    require_project(page)
    host, origin, values = page.host, the_origin(page), values_of(details)
    sampler, scheduler = text_of(values, "sampler"), values.get("scheduler")
    if sampler not in host.samplers() or (scheduler and scheduler not in host.schedulers()):
        raise InputError("The WebUI has no such sampler or scheduler.", "Choose one from the list.")
    if host.is_busy():
        raise InputError("The WebUI's GPU is busy.", "Wait until its work or our training is done.")
    values = {name: origin.get(name) for name in SETTINGS}
    values |= {"seed": drawn_seed(), "sampler": sampler, "scheduler": str(scheduler or "")}
    request = PictureRequest(**values)

    def work() -> None:
        (made,) = host.generate([request])
        _take(page, made.image, {"seed": made.seed}, origin.name)

    if not page.workshop.tasks.start(page.opened.queue_key, work):
        raise InputError("A picture is being made already.", "Wait for it, or stop it.")
    return Outcome()


def interrupt(page: Page, details: Details) -> Outcome:
    """Stop the host's generation."""
    page.host.interrupt()
    return Outcome()


def caption(page: Page, details: Details) -> Outcome:
    """Let one of the host's interrogators say what is in the origin; the text can be changed after."""
    from lib_copier.image.files import read_picture

    require_project(page)
    captioner, origin = text_of(details, "captioner"), the_origin(page)
    if captioner not in page.host.captioners():
        raise InputError("The WebUI has no such interrogator.", "Type the caption instead.")
    path = page.opened.file(f"origin/{origin.name}")
    if path is None:
        raise InputError("There is no origin picture yet.", "Make it first.")
    project, host = page.opened.project, page.host

    def work() -> None:
        text = host.caption(read_picture(path).image, captioner)
        require_origin(project, origin.name)
        project.set(
            {f"origins.{origin.name}.caption_source": "typed", f"origins.{origin.name}.caption": text}
        )

    page.workshop.tasks.start(page.opened.queue_key, work)
    return Outcome(page.texts("said.captioning"))


def receive(page: Page, gallery: Any, infotexts: Any) -> Outcome:
    """A picture that was sent from one of the host's own galleries becomes a new origin, or the first."""
    received = page.host.receive(gallery, infotexts)
    if page.desk is None:
        raise InputError("No project is open.", "Open or make one in the Copier LoRA tab, then send again.")
    first = page.origin
    if first is None or page.opened.file(f"origin/{first.name}") is not None:
        view = add(page, {}).view
        assert view is not None
        name = view.origin
    else:
        name = first.name
    values: dict[str, Any] = {}
    if received.prompt:
        values |= {"prompt": received.prompt, "negative_prompt": received.negative_prompt}
    if received.seed is not None:
        values["seed"] = received.seed
    _take(page, received.image, values, name)
    return Outcome(page.texts("said.received"), view=page.view.at(panel="origin", origin=name))


def _whole(origin: Origin, name: str) -> int:
    return int(str(origin.get(name)))


def require_origin(project: Project, name: str) -> None:
    """Refuse what comes late: the origin that it was for was taken out meanwhile."""
    if all(origin.name != name for origin in Project.open(project.folder).recipe.origins):
        raise InputError(f"The origin {name} is gone.", "Add it again, then repeat that.")


def _take(page: Page, image: Image.Image, values: dict[str, Any], name: str = "") -> None:
    """Make a picture the origin's file."""
    from lib_copier.image.files import crop_to_multiple

    project, name = page.opened.project, name or the_origin(page).name
    require_origin(project, name)
    settings = {f"origins.{name}.{key}": value for key, value in {**values, "source": "file"}.items()}
    picture = crop_to_multiple(image)[0]
    take(project, picture, name, lambda path: {**settings, f"origins.{name}.file": path})
