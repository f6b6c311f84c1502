"""The edit panel: effects with a live preview, or the user's own retouched picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib_copier.markup.html import Html, element_id, join, tag
from lib_copier.recipe.model import Edit, Effect
from lib_copier.steps.pairs import drawn_names
from lib_copier.ui import live, parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.picture import compare, figure, gallery
from lib_copier.ui.remedies import ways_on

if TYPE_CHECKING:
    from lib_copier.image.effect import Parameter


def render(page: Page) -> Html:
    """Choice of edit, its chain with sliders, before and after, where it differs, own picture."""
    steps = page.steps_of_panel("edit", shown_only=True)
    edit = page.edit
    if edit is None:
        return join(parts.head(page, "edit"), _adding(page, "edit.first"))
    return join(
        parts.head(page, "edit", steps),
        parts.edit_picker(page, may_change=True),
        parts.origin_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        ways_on(page, steps),
        tag("div", _seeing(page, edit, steps), _setting(page, edit), class_="cl-two"),
        _rule(page, edit),
        _pairs(page, edit),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("edit.run")),
    )  # fmt: skip


def _seeing(page: Page, edit: Edit, steps: list[str]) -> Html:
    return tag("div", preview(page, edit), _differs(page, steps), class_="cl-block")


def _setting(page: Page, edit: Edit) -> Html:
    more = page.folded_fields("edit")
    return tag("div", _chain(page, edit), _own(page, edit), more, _manage(page), class_="cl-block")


def _adding(page: Page, key: str) -> Html:
    return tag("div", parts.button(page.texts(key), "add_edit", is_primary=True), class_="cl-actions")


# Before and after


def preview(page: Page, edit: Edit) -> Html:
    """The origin and the edited picture under one drag handle; the effects are applied here and now."""
    if page.origin is None:
        return page.nothing("edit.no_origin")
    origin = page.opened.origin_picture(page.origin)
    if origin is None:
        go = tag(
            "button", page.texts("edit.to_origin"), type="button", class_="cl-button", data_go_panel="origin"
        )
        return tag("div", page.nothing("edit.no_origin"), go, class_="cl-block")
    own = edit.file_for(page.origin.name)
    if own:
        edited = page.opened.file(f"edit/{page.origin.name}/{edit.name}") or page.opened.inside(own)
    elif edit.effects:
        edited = live.edited_picture(page.workshop.live_folder, origin, edit.effects)
    else:
        edited = None
    if edited is None or not edited.is_file():
        return tag(
            "div", figure(page.url(origin), page.origin.name, is_large=True), page.nothing("edit.none")
        )
    shown = compare(
        page.url(origin),
        page.url(edited),
        page.texts("edit.before"),
        page.texts("edit.after"),
        name=f"compare-{page.origin.name}-{edit.name}",
        label=page.texts("edit.compare"),
    )
    return tag("div", shown, tag("p", page.texts("edit.drag"), class_="cl-help"))


def _differs(page: Page, steps: list[str]) -> Html:
    """Heat map, mask, what the step said of the pair, and how much of the edit the VAE lets through."""
    made = next((step for step in steps if step.startswith("edit/")), "")
    survival = next((page.opened.report(step) for step in steps if step.startswith("survival/")), {})
    result = page.opened.result(made)
    maps = [
        figure(page.url(path), page.texts(f"edit.{name}"))
        for name in ("heat", "mask")
        if (path := page.opened.file(made, f"{name}.png")) is not None
    ]
    rows = []
    changed, share = result.get("changed"), survival.get("share")
    if isinstance(changed, (int, float)):
        rows.append(("edit.changed", f"{changed:.0%}", ""))
    if isinstance(share, (int, float)):
        judged = "good" if survival.get("verdict") == "good" else "poor"
        rows.append(("edit.survives", f"{max(0.0, share):.0%}", judged))
    said = [
        page.texts.said(str(note))
        for note in (*(result.get("notes") or ()), survival.get("sentence"))
        if note
    ]
    notes = tag("ul", [tag("li", one) for one in said], class_="cl-list") if said else None
    return page.block("edit.differs", page.facts(rows), notes, gallery(maps) if maps else None)


def _rule(page: Page, edit: Edit) -> Html | None:
    """What the retouched pictures have in common, and what it makes of them."""
    step = f"rule/{edit.name}"
    found = page.opened.result(step)
    if not found:
        return None
    sheet = page.opened.file(step, "sheet.png")
    cues = ", ".join(page.texts.named("cue", str(cue)) for cue in found.get("cues") or ())
    return page.block(
        "edit.rule",
        tag("p", page.texts.said(str(found.get("sentence", "")))),
        page.facts([("edit.rule.cues", cues, "")]) if cues and found.get("is_true") else None,
        figure(page.url(sheet), page.texts("edit.rule.sheet"), is_large=True) if sheet else None,
    )


def _pairs(page: Page, edit: Edit) -> Html | None:
    """Method C's further pictures: how many, of what, and the pairs that were made of them."""
    if page.opened.recipe.method != "pairs":
        return None
    made = page.opened.recipe.as_made()
    edit = made.edit(edit.name)
    step, draws = f"pairs/{edit.name}", bool(drawn_names(made, edit))
    sheet = page.opened.file(step, "sheet.png")
    notes = [tag("li", page.texts.said(str(note))) for note in page.opened.result(step).get("notes") or ()]
    return page.block(
        "edit.pairs",
        tag("p", page.texts("edit.pairs.says" if edit.effects else "edit.pairs.own"), class_="cl-quiet"),
        figure(page.url(sheet), page.texts("edit.pairs"), is_large=True) if sheet else None,
        tag("ul", notes, class_="cl-list") if notes else None,
        join(page.fields("pictures"), page.folded_fields("pictures")) if draws else None,
    )


# The chain of effects


def _chain(page: Page, edit: Edit) -> Html:
    """Chips of the chain, the sliders of one of its effects, and what can be added."""
    texts = page.texts
    chips = [
        tag(
            "button",
            texts.named("effect", effect.name),
            type="button",
            class_="cl-chip",
            aria_pressed="true" if number == page.view.link else "false",
            data_go_link=number,
        )
        for number, effect in enumerate(edit.effects)
    ]
    names = live.effect_names()
    options = [tag("option", texts("edit.add_effect"), value="")]
    options += [tag("option", texts.named("effect", name), value=name) for name in names]
    add = tag("select", options, data_choose="add_effect", aria_label=texts("edit.add_effect"))
    row = tag("div", chips, class_="cl-chips") if len(edit.effects) > 1 else None
    sliders = (
        _sliders(page, edit.effects[min(page.view.link, len(edit.effects) - 1)]) if edit.effects else None
    )
    return page.block("edit.effects", row, sliders, add)


def _sliders(page: Page, effect: Effect) -> Html:
    """Strength and parameters; moving one shows its result at once, letting go stores it."""
    known = live.effect_of(effect.name)
    if known is None:
        return tag("p", page.texts("edit.unknown", name=effect.name), class_="cl-warning")
    params = dict(effect.params)
    rows = [_slider("strength", page.texts("edit.strength"), effect.strength, 0.0, live.MAX_STRENGTH, 0.05)]
    rows += [
        _slider(f"param.{one.name}", _parameter_label(page, one), params.get(one.name, one.default),
                one.minimum, one.maximum, one.step, page.texts.said(one.help))
        for one in known.parameters if one.name not in live.HIDDEN
    ]  # fmt: skip
    remove = tag(
        "button", page.texts("edit.remove_effect"), type="button", class_="cl-link", data_act="remove_effect"
    )
    title = tag("div", tag("strong", page.texts.named("effect", effect.name)), remove, class_="cl-label")
    says = tag(
        "p",
        known.help if page.texts.language == "en" else page.texts.named("effect", f"{effect.name}.says"),
        class_="cl-help",
    )
    return tag("div", title, says, rows, class_="cl-card", data_live=True)


def _parameter_label(page: Page, parameter: Parameter) -> str:
    key = f"param.{parameter.name}"
    return page.texts(key) if page.texts.has(key) else parameter.label


def _slider(
    name: str, label: str, value: float, low: float, high: float, step: float, says: str = ""
) -> Html:
    # In full: a value between the slider's points stays as it is until somebody moves it.
    written = f"{value:.15g}"
    field = element_id("effect", name)
    return tag(
        "div",
        tag("label", label, for_=field, title=says or None),
        tag("output", written),
        tag(
            "input",
            id=field,
            type="range",
            name=name,
            min=f"{low:g}",
            max=f"{high:g}",
            step=f"{step:g}",
            value=written,
        ),
        class_="cl-slider",
    )


# A picture of the user's own, and the edit itself


def _own(page: Page, edit: Edit) -> Html:
    if page.origin is None:
        return Html("")
    texts = page.texts
    has_own = bool(edit.file_for(page.origin.name))
    drop = tag(
        "div",
        tag("strong", texts("edit.drop")),
        tag("span", texts("edit.drop_says"), class_="cl-quiet"),
        tag("input", type="file", accept="image/*", data_upload="upload_edit", aria_label=texts("edit.drop")),
        class_="cl-drop",
    )
    origin = page.opened.file(f"origin/{page.origin.name}")
    get = tag("a", texts("edit.get_origin"), href=page.url(origin), download=f"{page.origin.name}.png",
              class_="cl-button") if origin is not None else None  # fmt: skip
    back = parts.button(texts("edit.drop_back"), "remove_upload") if has_own else None
    align = page.fields("edit", only={"align"}) if has_own else None
    return page.block("edit.own", drop, align, tag("div", get, back, class_="cl-row"))


def _manage(page: Page) -> Html:
    """Rename or remove the edit."""
    edit = page.edit
    assert edit is not None
    name = tag(
        "input", type="text", name="name", value=edit.name, maxlength=60, aria_label=page.texts("edit.name")
    )
    rename = parts.button(page.texts("edit.rename"), "rename_edit")
    remove = None
    if len(page.opened.recipe.edits) > 1:
        remove = parts.button(
            page.texts("edit.remove"), "remove_edit", confirm=page.texts("edit.remove_sure", name=edit.name)
        )
    form = tag("div", tag("div", name, rename, remove, class_="cl-row"), data_form="edit")
    return folded(page.texts("edit.name"), form, name="edit-name")
