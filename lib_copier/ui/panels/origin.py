"""The origin panel: the picture that everything starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_copier.errors import InputError
from lib_copier.markup.html import Html, element_id, join, tag
from lib_copier.recipe.model import Origin
from lib_copier.txt2img.infotext import PNG_KEY, read_infotext
from lib_copier.txt2img.pictures import SETTINGS
from lib_copier.txt2img.prompt import networks
from lib_copier.ui import live, parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.panels.scout import search
from lib_copier.ui.picture import figure

_WORDS = {"prompt", "negative_prompt"}
_CAPTION = {"caption_source", "caption"}
_OWN_PLACE = _WORDS | _CAPTION | {"source", "file", "accept_copier"}
_MOST_TAGS = 4


def render(page: Page) -> Html:
    """Choice of origin, its picture, who makes it from what, its caption, and one button."""
    steps = page.steps_of_panel("origin", shown_only=True)
    origin = page.origin
    if origin is None:
        add = parts.button(page.texts("origin.first"), "add_origin", is_primary=True)
        return join(parts.head(page, "origin"), tag("div", add, class_="cl-actions"))
    path = page.opened.origin_picture(origin)
    made_from = _made_from(path)
    return join(
        parts.head(page, "origin", steps),
        parts.origin_picker(page, may_change=True),
        parts.reasons(page, steps),
        parts.running(page, steps),
        tag(
            "div",
            tag("div", _picture(page, origin, path, made_from), _under_way(page), class_="cl-block"),
            _making(page, origin),
            class_="cl-two",
        ),
        search(page, origin),
        parts.details(page, steps),
        parts.run_buttons(page, steps, main=_main(page, origin, steps, path, made_from)),
    )


def _made_from(path: Path | None) -> str:
    """What the picture's file tells of how it was made, as the WebUI writes it."""
    # Here, not above: Pillow would slow the start of a WebUI whose user never opens the tab.
    from lib_copier.image.files import picture_text

    try:
        return picture_text(path).get(PNG_KEY, "") if path is not None else ""
    except InputError:
        return ""


def _picture(page: Page, origin: Origin, path: Path | None, made_from: str) -> Html:
    texts = page.texts
    if path is None:
        return Html("") if page.is_host_at_work else tag("p", texts("origin.none"), class_="cl-empty")
    notes = page.opened.result(f"origin/{origin.name}").get("notes") or []
    said = (
        tag("ul", [tag("li", texts.said(str(note))) for note in notes], class_="cl-list cl-quiet")
        if notes
        else None
    )
    settings = made_from.strip().rpartition("\n")[2]
    told = tag("p", texts("origin.made_from", settings=settings), class_="cl-quiet") if settings else None
    prompt = read_infotext(made_from).get("prompt", origin.get("prompt"))
    tags = " ".join(one.tag for one in networks(str(prompt))[1][:_MOST_TAGS])
    with_lora = tag("p", texts("origin.with_lora", tags=tags), class_="cl-warning") if tags else None
    return join(figure(page.url(path), origin.name, is_large=True), with_lora, told, said)


def _under_way(page: Page) -> Html | None:
    """What the WebUI is doing for this project."""
    if not page.is_host_at_work:
        return None
    found = page.host.progress()
    said = tag("strong", page.texts("origin.webui_busy"))
    stop = parts.button(page.texts("run.stop"), "interrupt")
    share = tag("span", f"{found.share:.0%}") if found else None
    bar = tag("progress", max=1, value=f"{found.share:.4f}") if found and found.share else tag("progress")
    so_far = found.picture if found else None
    preview = figure(page.url(live.underway_picture(page.workshop.live_folder, so_far))) if so_far else None
    return tag("div", tag("div", said, share, class_="cl-row"), bar, preview, stop, class_="cl-progress")


def _main(page: Page, origin: Origin, steps: list[str], path: Path | None, made_from: str) -> Html | None:
    """The one button: it makes the picture, or another one; None for the panel's usual button."""
    source, is_done = origin.get("source"), page.state(steps) == "done"
    if page.is_host_at_work:
        return parts.button(page.texts("run.busy"), disabled=True)
    if source == "file":
        return Html("") if is_done or path is None else None
    is_there = is_done if source == "generate" else path is not None and not _is_other(origin, made_from)
    if not is_there:
        word = page.texts("origin.run")
        return parts.button(word, "make_picture", is_primary=True, id_=element_id("generate"))
    return parts.button(page.texts("origin.another"), "make_picture", seed="new") if is_done else None


def _is_other(origin: Origin, made_from: str) -> bool:
    """Whether the settings are no longer those that the picture was made from, as far as it tells them."""
    told = read_infotext(made_from)
    return any(told[name] != _plain(origin.get(name)) for name in SETTINGS if name in told)


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _making(page: Page, origin: Origin) -> Html:
    """Who makes it, from which words, size and seed, and what training is told."""
    texts = page.texts
    remove = None
    if len(page.opened.recipe.origins) > 1:
        sure = texts("origin.remove_sure", name=origin.name)
        remove = parts.button(texts("origin.remove"), "remove_origin", confirm=sure)
    more = [page.fields("origin", advanced=True, without=_OWN_PLACE)]
    if origin.get("caption_source") == "tagger":
        more.append(page.fields("caption", advanced=True))
    return tag(
        "div",
        page.block("origin.by", _by(page, origin), _drop(page) if origin.get("source") == "file" else None),
        page.fields("origin", only=_WORDS),
        page.fields("origin", without=_OWN_PLACE),
        page.block("origin.caption", _caption(page, origin)),
        folded(texts("form.more"), join(*more), name="more-origin"),
        tag("div", remove, class_="cl-row") if remove else None,
        class_="cl-block",
    )


def _by(page: Page, origin: Origin) -> Html:
    """Who makes the picture: one of two engines, or whoever gave it."""
    texts, source = page.texts, str(origin.get("source"))
    sources = ["generate", "webui", "file"]
    if not page.host.info.can_generate and source != "webui":
        sources.remove("webui")
    chips = [
        tag(
            "button",
            texts(f"choice.source.{one}"),
            type="button",
            class_="cl-chip",
            aria_pressed="true" if one == source else "false",
            data_act="set",
            data_key="origin.source",
            data_target="origin",
            data_value=one,
        )
        for one in sources
    ]
    loaded = page.host.current_checkpoint() if source == "webui" else None
    is_other = loaded is not None and str(loaded.path) != page.opened.recipe.checkpoint
    return tag(
        "div",
        tag("div", chips, class_="cl-chips", role="group", aria_label=texts("origin.by")),
        tag("p", texts(f"origin.by_{source}", checkpoint=loaded.title if loaded else "–"), class_="cl-help"),
        tag("p", texts("origin.other_checkpoint"), class_="cl-warning") if is_other else None,
    )


def _drop(page: Page) -> Html:
    texts = page.texts
    return tag(
        "div",
        tag("strong", texts("origin.drop")),
        tag("span", texts("origin.drop_says"), class_="cl-quiet"),
        tag(
            "input",
            type="file",
            accept="image/*",
            data_upload="upload_origin",
            aria_label=texts("origin.drop"),
        ),
        class_="cl-drop",
    )


def _caption(page: Page, origin: Origin) -> Html:
    path = page.opened.file(f"caption/{origin.name}")
    told = None
    if path is not None:
        caption = path.read_text(encoding="utf-8").strip() or "–"
        told = tag("p", page.texts("origin.told", caption=caption), class_="cl-quiet")
    asks = [
        parts.button(page.texts(f"captioner.{name}"), "caption", captioner=name)
        for name in page.host.captioners()
    ]
    return join(
        page.fields("origin", only=_CAPTION),
        tag("div", asks, class_="cl-row") if asks else None,
        told,
    )
