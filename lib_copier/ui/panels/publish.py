"""Publishing: a name, words for the card, a preview picture, and the way into the Lora folder."""

from __future__ import annotations

from lib_copier.markup.html import Html, join, tag
from lib_copier.steps.publish import published_name
from lib_copier.ui import parts
from lib_copier.ui.page import Page
from lib_copier.ui.picture import figure


def render(page: Page) -> Html:
    """The form, then the files with links and what the WebUI needs to list them."""
    steps = page.steps_of_panel("publish", shown_only=True)
    return join(
        parts.head(page, "publish", steps),
        parts.edit_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        _files(page, steps[0]) if steps else None,
        page.block(
            "settings",
            page.fields("publish", without={"folder"}),
            _folder(page),
            page.folded_fields("publish"),
        ),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("publish.run")),
    )


def _folder(page: Page) -> Html:
    """Whether the file also goes into the host's Lora folder; no path is typed here."""
    folder = str(page.opened.recipe.get("publish.folder") or "")
    target = str(page.host.lora_dirs()[0])
    box = tag(
        "label",
        tag(
            "input",
            type="checkbox",
            checked=bool(folder),
            data_set="publish.folder",
            data_target="lora_folder",
        ),
        page.texts("publish.into", folder=folder or target),
        class_="cl-check",
    )
    return tag(
        "div", box, tag("p", page.texts("publish.into_says"), class_="cl-help"), class_="cl-field cl-wide"
    )


def _files(page: Page, step_id: str) -> Html:
    edit = page.edit
    if edit is None or page.opened.made(step_id) is None:
        return page.nothing("publish.none")
    name = published_name(page.opened.recipe, edit)
    lora = page.opened.file(step_id, f"{name}.safetensors")
    picture = page.opened.file(step_id, f"{name}.png")
    if lora is None:
        return page.nothing("publish.none")
    size = lora.stat().st_size / 1e6
    address = {"href": page.url(lora), "download": lora.name, "class_": "cl-button cl-primary"}
    download = tag("a", page.texts("publish.download", size=f"{size:.1f}"), **address)
    refresh = (
        parts.button(page.texts("publish.refresh"), "refresh_loras") if page.host.info.is_webui else None
    )
    words = f"<lora:{name}:{page.opened.recipe.get('publish.preferred_weight', edit):g}>"
    copy = tag(
        "button", page.texts("publish.copy", words=words), type="button", class_="cl-button", data_copy=words
    )
    known = None
    if page.opened.recipe.get("publish.folder"):
        is_known = page.host.is_lora_known(name)
        known = tag(
            "p",
            page.texts("publish.known" if is_known else "publish.not_known", name=name),
            class_="cl-quiet",
        )
    return page.block(
        "publish.files",
        tag("div", figure(page.url(picture), name), class_="cl-large") if picture else None,
        tag("div", download, copy, refresh, class_="cl-row"),
        known,
    )
