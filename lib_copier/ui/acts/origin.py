"""Origins: adding, uploading, and making or captioning them with the host."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from lib_copier.errors import InputError
from lib_copier.host.base import Host
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps.given import take_in_given
from lib_copier.steps.project import Project
from lib_copier.txt2img.infotext import PNG_KEY, read_infotext
from lib_copier.txt2img.pictures import RANDOM_SEED, SAMPLERS, SETTINGS, PictureRequest
from lib_copier.txt2img.prompt import networks
from lib_copier.ui.acts import run
from lib_copier.ui.acts.act import Outcome, require_project, require_room, the_origin
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of, uploaded
from lib_copier.ui.uploads import take

if TYPE_CHECKING:
    from PIL import Image


_MOST_TAGS = 4


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
    seed, source = _whole(first, "seed") + number, str(first.get("source"))
    like = Origin(f"origin-{number}", first.settings)
    return recipe.with_origin(
        like.replaced(seed=seed, source="generate" if source == "file" else source, file="")
    )


def remove(page: Page, details: Details) -> Outcome:
    """Take the shown origin out of the recipe and show its neighbour; what was made stays until pruned."""
    require_project(page)
    names, name = [origin.name for origin in page.opened.recipe.origins], the_origin(page).name
    page.opened.project.set({f"origins.{name}": None}).forget_pictures()
    place = names.index(name)
    left = names[:place] + names[place + 1 :]
    return Outcome(view=page.view.at(origin=left[min(place, len(left) - 1)] if left else ""))


def upload(page: Page, details: Details) -> Outcome:
    """Take an uploaded picture as the shown origin, with the settings that it tells it was made with."""
    from lib_copier.image.files import crop_to_multiple, read_picture

    require_project(page)
    name, content = uploaded(details)
    opened = read_picture(content)
    image, cropped = crop_to_multiple(opened.image)
    _take(page, image, the_origin(page).name, "file", opened.text.get(PNG_KEY, ""))
    notes = page.texts("said.then").join(page.texts.said(note) for note in (*opened.notes, cropped) if note)
    return Outcome(notes or page.texts("said.taken", name=name))


def make(page: Page, details: Details) -> Outcome:
    """Make the shown origin's picture, by whom its source says; with ``seed`` "new" another one."""
    require_project(page)
    if details.get("seed") == "new":
        page.opened.project.set({f"origins.{the_origin(page).name}.seed": RANDOM_SEED})
    if the_origin(page).get("source") != "webui":
        return run.run(page, details)
    _make_in_webui(page)
    return Outcome()


def _make_in_webui(page: Page) -> None:
    """By the WebUI's loaded checkpoint, in a thread; the page asks again."""
    host, origin = page.host, the_origin(page)
    if not host.info.can_generate:
        raise InputError("There is no WebUI here to make it.", "Choose the built-in engine.")
    if host.is_busy():
        raise InputError("The WebUI's GPU is busy.", "Wait until its work or our training is done.")
    values: dict[str, Any] = {name: origin.get(name) for name in SETTINGS}
    values["sampler"], values["scheduler"] = _sampler_there(host, str(values["sampler"]))
    request = PictureRequest(**values)

    def work() -> None:
        (made,) = host.generate([request])
        _take(page, made.image, origin.name, "webui", made.infotext)

    if not page.workshop.tasks.start(page.opened.queue_key, work):
        raise InputError("A picture is being made already.", "Wait for it, or stop it.")


def _sampler_there(host: Host, name: str) -> tuple[str, str]:
    """One of our samplers and its schedule as the host calls them; an older host has no schedules."""
    sampler, schedule = SAMPLERS[name]
    there = host.schedulers()
    found = (sampler, schedule if schedule in there else "") if there else (name, "")
    if found[0] not in host.samplers():
        raise InputError(f"The WebUI has no sampler {found[0]}.", "Choose another one.")
    return found


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
    path = page.opened.origin_picture(origin)
    if path is None:
        raise InputError("There is no origin picture yet.", "Make it first.")
    project, host = page.opened.project, page.host

    def work() -> None:
        text = host.caption(read_picture(path).image, captioner)
        require_origin(project, origin.name)
        project.set(
            {f"origins.{origin.name}.caption_source": "typed", f"origins.{origin.name}.caption": text}
        )
        take_in_given(project, origin.name)

    page.workshop.tasks.start(page.opened.queue_key, work)
    return Outcome(page.texts("said.captioning"))


def receive(page: Page, gallery: Any, infotexts: Any) -> Outcome:
    """A picture that was sent from one of the host's own galleries becomes an origin, once.

    The first origin's, where that has no picture yet; else a further one. It says which.
    """
    from lib_copier.image.files import crop_to_multiple

    received = page.host.receive(gallery, infotexts)
    if page.desk is None:
        raise InputError("No project is open.", "Open or make one in the Copier LoRA tab, then send again.")
    picture, first = crop_to_multiple(received.image)[0], page.origin
    known = next((one for one in page.opened.recipe.origins if _shows(page, one, picture)), None)
    if known is not None:
        name, said = known.name, "said.received_again"
    elif first is not None and page.opened.origin_picture(first) is None:
        name, said = first.name, "said.received"
    else:
        view = add(page, {}).view
        assert view is not None
        name, said = view.origin, "said.received" if first is None else "said.received_more"
    if known is None:
        _take(page, picture, name, "file", received.infotext)
    told = page.texts(said, name=name, count=len(page.opened.project.recipe.origins))
    tags = [tag.tag for tag in networks(str(read_infotext(received.infotext).get("prompt", "")))[1]]
    with_lora = page.texts("origin.with_lora", tags=" ".join(tags[:_MOST_TAGS])) if tags else ""
    return Outcome(f"{told} {with_lora}".strip(), view=page.view.at(panel="origin", origin=name))


def _shows(page: Page, origin: Origin, picture: Image.Image) -> bool:
    """Whether an origin has this very picture, pixel by pixel."""
    from lib_copier.image.files import picture_size, read_picture

    path = page.opened.origin_picture(origin)
    try:
        is_alike = path is not None and picture_size(path) == picture.size
        return path is not None and is_alike and read_picture(path).image.tobytes() == picture.tobytes()
    except InputError:  # a broken file shows nothing
        return False


def _whole(origin: Origin, name: str) -> int:
    return int(str(origin.get(name)))


def require_origin(project: Project, name: str) -> None:
    """Refuse what comes late: the origin that it was for was taken out meanwhile."""
    if all(origin.name != name for origin in Project.open(project.folder).recipe.origins):
        raise InputError(f"The origin {name} is gone.", "Add it again, then repeat that.")


def _take(page: Page, image: Image.Image, name: str, source: str, infotext: str) -> None:
    """Make a picture the origin's file, and the settings that its infotext tells the origin's."""
    from lib_copier.image.files import crop_to_multiple

    project = page.opened.project
    require_origin(project, name)
    told = {**read_infotext(infotext), "source": source}
    settings = {f"origins.{name}.{key}": value for key, value in told.items()}
    picture = crop_to_multiple(image)[0]
    take(project, picture, name, lambda path: {**settings, f"origins.{name}.file": path}, infotext)
    take_in_given(project, name)
    # There is a picture now: that an earlier one could not be made concerns nobody any more.
    page.workshop.tasks.forget(page.opened.queue_key)
