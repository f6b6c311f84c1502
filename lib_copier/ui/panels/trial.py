"""Try it now: a prompt at the slider's weights, printed while one looks; two LoRAs stand side by side."""

from __future__ import annotations

from collections.abc import Mapping

from lib_copier.markup.html import Html, join, tag
from lib_copier.txt2img.pictures import SETTINGS
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.picture import Strip, scrub
from lib_copier.ui.printer import WEIGHTS, Trial
from lib_copier.ui.trials import choices, own_prompts


def trial(page: Page) -> Html:
    """The form and what was printed last; nothing before there is a LoRA to try."""
    known = choices(page)
    if not known:
        return Html("")
    printer = page.workshop.printer
    shown = printer.trial if printer.trial and printer.trial.project == page.opened.folder_name else None
    return page.block(
        "try.title",
        tag("p", page.texts("try.lead"), class_="cl-quiet"),
        _form(page, list(known), shown),
        _state(page, shown),
        _pictures(page, shown) if shown else None,
    )


def _form(page: Page, known: list[str], shown: Trial | None) -> Html:
    texts, values = page.texts, _values(page, known, shown)
    is_open = page.workshop.printer.is_open(page.opened.folder_name)
    loras = [(name, _name(page, name)) for name in known]
    main = join(
        _area("prompt", texts("try.prompt"), values),
        _select("lora", texts("try.lora"), loras, values),
    )
    if len(known) > 1:
        main = join(main, _select("beside", texts("try.beside"), [("", texts("try.alone")), *loras], values))
    more = join(
        _area("negative_prompt", texts("try.negative"), values),
        *(_number(name, texts(f"try.{name}"), values) for name in ("seed", "width", "height")),
        _select("checkpoint", texts("try.checkpoint"), _checkpoints(page), values),
    )
    stop = parts.button(texts("run.stop"), "stop_try") if is_open else None
    row = tag(
        "div",
        parts.button(texts("try.print"), "try_prompt"),
        stop,
        parts.button(texts("try.use"), "use_prompt"),
        class_="cl-row",
    )
    fold = folded(texts("form.more"), tag("div", more, class_="cl-form"), name="more-try")
    return tag("div", tag("div", main, class_="cl-form"), fold, row, class_="cl-block", data_form="try")


def _name(page: Page, step_id: str) -> str:
    """A LoRA by the step that made it; the last one is what people came for."""
    kind, _, names = step_id.partition("/")
    if kind != "publish":
        return page.texts.step(step_id)
    return page.texts("said.of", step=page.texts("try.finished"), names=names)


def _checkpoints(page: Page) -> list[tuple[str, str]]:
    return [("", page.texts("try.own")), *((one.title, one.title) for one in page.host.checkpoints())]


def _values(page: Page, known: list[str], shown: Trial | None) -> dict[str, str]:
    """What the form begins with: the last trial, else what the sweep would do."""
    recipe, edit = page.opened.recipe, page.edit
    prompts = own_prompts(page)
    found = {
        "prompt": prompts[0],
        "negative_prompt": str(recipe.get("sweep.negative_prompt", edit) or ""),
        "seed": str(recipe.get("sweep.seed", edit)),
        "lora": known[0],
        "beside": "",
        "checkpoint": "",
    }
    origin = page.origin
    for side in ("width", "height"):
        found[side] = str(recipe.get(f"sweep.{side}", edit) or (origin.get(side) if origin else 512))
    if shown is None:
        return found
    names = [name for name, _ in shown.loras]
    title = next((one.title for one in page.host.checkpoints() if one.path == shown.checkpoint), "")
    is_own = shown.checkpoint == page.opened.project.folder / recipe.checkpoint
    told = {name: str(getattr(shown.request, name)) for name in SETTINGS if name in found}
    beside = names[1] if len(names) > 1 else ""
    return {**found, **told, "lora": names[0], "beside": beside, "checkpoint": "" if is_own else title}


def _state(page: Page, shown: Trial | None) -> Html | None:
    """What is under way or went wrong, in words."""
    texts, printer, project = page.texts, page.workshop.printer, page.opened.folder_name
    if problem := printer.failure(project):
        return tag("p", texts.said(problem), class_="cl-warning")
    if shown is None or not (missing := len(shown.missing())):
        return None
    if printer.is_waiting or (not printer.is_open(project) and printer.has_job):
        return tag("p", texts("try.waiting"), class_="cl-quiet", role="status")
    if printer.is_open(project):
        return tag("p", texts("try.printing", count=missing), class_="cl-quiet", role="status")
    return None


def _pictures(page: Page, shown: Trial) -> Html:
    strips = []
    for row, (name, _) in enumerate(shown.loras):
        files = [shown.path(row, weight) for weight in WEIGHTS]
        urls = tuple(page.url(path) if path.is_file() else "" for path in files)
        if any(urls):
            strips.append(Strip(_name(page, name), urls))
    if not strips:
        return Html("")
    label = page.texts("preview.weight")
    return scrub(strips, WEIGHTS, name="scrub-try", label=label, start=1.0, act="try_at")


def _area(name: str, label: str, values: Mapping[str, str]) -> Html:
    area = tag("textarea", values[name], rows=2, name=name, id=_id(name))
    return tag("div", tag("label", label, for_=_id(name), class_="cl-label"), area, class_="cl-field cl-wide")


def _number(name: str, label: str, values: Mapping[str, str]) -> Html:
    limits = SETTINGS[name]
    low = -1 if name == "seed" else limits.minimum
    written = {"min": f"{low:.16g}", "max": f"{limits.maximum:.16g}", "step": 1 if name == "seed" else 8}
    box = tag("input", type="number", value=values[name], name=name, id=_id(name), **written)
    return tag("div", tag("label", label, for_=_id(name), class_="cl-label"), box, class_="cl-field")


def _select(name: str, label: str, choices: list[tuple[str, str]], values: Mapping[str, str]) -> Html:
    options = [tag("option", text, value=one, selected=one == values[name]) for one, text in choices]
    return tag(
        "div",
        tag("label", label, for_=_id(name), class_="cl-label"),
        tag("select", options, name=name, id=_id(name)),
        class_="cl-field",
    )


def _id(name: str) -> str:
    return f"copier_lora_try_{name}"
