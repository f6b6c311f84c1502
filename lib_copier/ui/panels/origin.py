"""The origin panel: the picture that everything starts from."""

from __future__ import annotations

from lib_copier.html import Html, join, tag
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.picture import figure

_WORDS = {"prompt", "negative_prompt"}
_CAPTION = {"caption_source", "caption"}


def render(page: Page) -> Html:
    """Choice of origin, its picture, how it is made, its caption."""
    steps = page.steps_of_panel("origin", shown_only=True)
    if page.origin is None:
        add = parts.button(page.texts("origin.first"), "add_origin", is_primary=True)
        return join(parts.head(page, "origin"), tag("div", add, class_="cl-actions"))
    return join(
        parts.head(page, "origin", steps),
        parts.origin_picker(page, may_change=True),
        parts.reasons(page, steps),
        parts.running(page, steps),
        tag(
            "div", tag("div", _picture(page), _take(page), class_="cl-block"), _making(page), class_="cl-two"
        ),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("origin.run")),
    )


def _picture(page: Page) -> Html:
    assert page.origin is not None
    path = page.opened.file(f"origin/{page.origin.name}")
    if path is None and page.origin.get("source") == "file":
        path = page.opened.inside(str(page.origin.get("file") or "none"))
    if path is None or not path.is_file():
        return page.nothing("origin.none")
    notes = page.opened.result(f"origin/{page.origin.name}").get("notes") or []
    said = tag("ul", [tag("li", str(note)) for note in notes], class_="cl-list cl-quiet") if notes else None
    return join(figure(page.url(path), page.origin.name, is_large=True), said)


def _take(page: Page) -> Html:
    """A picture from elsewhere: uploaded here, or made with the WebUI around us."""
    texts = page.texts
    drop = tag(
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
    return join(_webui(page), drop)


def _webui(page: Page) -> Html:
    if not page.host.info.can_generate:
        return Html("")
    texts, host = page.texts, page.host
    assert page.origin is not None
    task = page.workshop.tasks.find(page.opened.queue_key)
    if task is not None and task.is_open:
        return tag("div", tag("strong", texts("origin.webui_busy")), tag("progress"),
                   parts.button(texts("run.stop"), "interrupt"), class_="cl-progress")  # fmt: skip
    loaded = host.current_checkpoint()
    selects = [
        _choice(page, "sampler", host.samplers(), "Euler a"),
        _choice(page, "scheduler", host.schedulers(), ""),
    ]
    return tag(
        "div",
        tag("strong", texts("origin.webui")),
        tag(
            "span", texts("origin.webui_says", checkpoint=loaded.title if loaded else "–"), class_="cl-quiet"
        ),
        tag("div", selects, class_="cl-form"),
        tag("div", parts.button(texts("origin.webui_run"), "generate_in_webui"), class_="cl-row"),
        class_="cl-card",
        data_form="webui",
    )


def _choice(page: Page, name: str, names: object, chosen: str) -> Html | None:
    found = list(names)  # type: ignore[call-overload]
    if not found:
        return None
    options = [tag("option", one, value=one, selected=one == chosen) for one in found]
    label = tag("span", page.texts(f"origin.{name}"), class_="cl-label")
    return tag("label", label, tag("select", options, name=name), class_="cl-field")


def _making(page: Page) -> Html:
    """The settings: words first, then size and seed, then what training is told."""
    remove = None
    if len(page.opened.recipe.origins) > 1:
        remove = parts.button(
            page.texts("origin.remove"), "remove_origin", confirm=page.texts("origin.remove_sure")
        )
    return tag(
        "div",
        page.fields("origin", only=_WORDS),
        page.fields("origin", without=_WORDS | _CAPTION | {"file"}),
        page.folded_fields("origin", without=_WORDS | _CAPTION),
        page.block("origin.caption", _caption(page)),
        tag("div", remove, class_="cl-row") if remove else None,
        class_="cl-block",
    )


def _caption(page: Page) -> Html:
    assert page.origin is not None
    path = page.opened.file(f"caption/{page.origin.name}")
    told = (
        tag(
            "p",
            page.texts("origin.told", caption=path.read_text(encoding="utf-8").strip() or "–"),
            class_="cl-quiet",
        )
        if path
        else None
    )
    asks = [
        parts.button(page.texts(f"captioner.{name}"), "caption", captioner=name)
        for name in page.host.captioners()
    ]
    return join(
        page.fields("origin", only=_CAPTION),
        tag("div", asks, class_="cl-row") if asks else None,
        told,
        folded(page.texts("form.more"), page.fields("caption", advanced=True), name="more-caption"),
    )
