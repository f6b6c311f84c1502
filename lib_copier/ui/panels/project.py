"""The first panel: make or open a project, choose checkpoint, method, preset and engine."""

from __future__ import annotations

from lib_copier.files.names import name_fault
from lib_copier.markup.html import Html, element_id, join, tag
from lib_copier.recipe.options import METHODS, OPTIONS
from lib_copier.recipe.presets import PRESETS
from lib_copier.settings.option import Option
from lib_copier.ui import parts, starter
from lib_copier.ui.form import folded, way_to
from lib_copier.ui.page import Page
from lib_copier.ui.panels.engine import engine_cards, setup_reminder
from lib_copier.ui.sketch import method_sketch

_OWN_PLACE = frozenset({"method", "checkpoint", "engine"})
"""Options of the project that are drawn in a place of their own."""
_MOST_SHOWN = 40
_FAULTS_SHOWN = 12
_LONGEST_FAULT = 300


def render(page: Page) -> Html:
    """The start where no project is open, else the opened project's settings."""
    if page.desk is None:
        shown = (setup_reminder, _new, _others, _from_lora)
        return join(parts.head(page, "start"), [parts.guarded(page, draw) for draw in shown])
    texts = page.texts
    return join(
        parts.head(page, "project"),
        setup_reminder(page),
        _faults(page),
        page.block("project.method", _methods(page)),
        page.block("project.model", _checkpoint(page), _model(page)),
        page.block("project.preset", _presets(page)),
        page.block("project.engine", engine_cards(page), page.fields("project", only={"engine"})),
        folded(texts("project.base"), _base(page), name="project-base"),
        parts.running(page, page.steps_of_panel("project")),
        folded(texts("project.manage"), join(_manage(page), _others(page), _from_lora(page)), name="manage"),
        parts.details(page, page.steps_of_panel("project")),
        parts.run_buttons(page, page.steps_of_panel("project")),
    )  # fmt: skip


# A project that is not there yet


def _new(page: Page) -> Html:
    """A form that needs no typing: every field has a value that works."""
    texts, first = page.texts, starter.suggestion(page.host, page.workshop, page.view.checkpoint)
    if not page.host.checkpoints():
        where = tag("p", texts("project.no_checkpoint"), class_="cl-warning")
        again = parts.button(texts("project.refresh"), "refresh_checkpoints")
        return page.block("project.new", where, again)
    methods = [_method_choice(page, name, name == "copier") for name in METHODS]
    effects = [
        tag("option", texts(f"effect.{name}"), value=name, selected=name == first.effect)
        for name in (*starter.EFFECTS, starter.OWN_PICTURE)
    ]
    checkpoints = _checkpoint_select(page, first.checkpoint, name="checkpoint", data_view="checkpoint")
    fields = tag(
        "div",
        _labelled(page, "name", tag("input", type="text", name="name", value=first.name, maxlength=60)),
        _labelled(page, "checkpoint", checkpoints),
        _labelled(page, "effect", tag("select", effects, name="effect")),
        _labelled(page, "preset", _preset_select(page, first.preset)),
        _labelled(page, "prompt", tag("textarea", first.prompt, name="prompt", rows=2), is_wide=True),
        class_="cl-form",
    )
    make = parts.button(
        texts("project.create"), "create_project", is_primary=True, id_=element_id("generate")
    )
    form = tag(
        "div",
        tag("div", methods, class_="cl-cards", role="radiogroup", aria_label=texts("project.method")),
        fields,
        tag("div", make, class_="cl-actions"),
        class_="cl-block",
        data_form="new",
    )
    return page.block("project.new", form)


def _labelled(page: Page, name: str, control: Html, *, is_wide: bool = False) -> Html:
    css = "cl-field cl-wide" if is_wide else "cl-field"
    help_key = f"new.{name}.help"
    help_text = tag("p", page.texts(help_key), class_="cl-help") if page.texts.has(help_key) else None
    return tag(
        "label", tag("span", page.texts(f"new.{name}"), class_="cl-label"), control, help_text, class_=css
    )


def _method_choice(page: Page, name: str, is_chosen: bool) -> Html:
    return tag(
        "label",
        method_sketch(name),
        tag(
            "span",
            tag("input", type="radio", name="method", value=name, checked=is_chosen),
            tag("strong", " " + page.texts(f"method.{name}")),
        ),
        tag("span", page.texts(f"method.{name}.says"), class_="cl-quiet"),
        class_="cl-card",
    )


def _preset_select(page: Page, chosen: str) -> Html:
    options = [
        tag("option", page.texts.named("preset", name), value=name, selected=name == chosen)
        for name in PRESETS
    ]
    return tag("select", options, name="preset")


def _checkpoint_select(page: Page, chosen: str, **attributes: str) -> Html:
    """The host's checkpoints by name; the value is a path, which the server looks up in the same list."""
    known = [tag("option", one.title, value=str(one.path), selected=str(one.path) == chosen)
             for one in page.host.checkpoints()]  # fmt: skip
    paths = {str(one.path) for one in page.host.checkpoints()}
    if chosen and chosen not in paths:
        known.insert(
            0, tag("option", chosen.replace("\\", "/").rpartition("/")[2], value=chosen, selected=True)
        )
    elif not chosen:
        known.insert(0, tag("option", page.texts("project.choose"), value="", selected=True))
    return tag("select", known, aria_label=page.texts("new.checkpoint"), **attributes)


def _others(page: Page) -> Html:
    """The projects that are there, the newest first."""
    entries = [
        entry for entry in page.workshop.entries() if page.desk is None or entry.name != page.desk.folder_name
    ]
    faults = [(entry.name, fault) for entry in entries[:_MOST_SHOWN] if (fault := page.workshop.fault(entry))]
    broken = [
        tag(
            "div",
            tag("p", tag("strong", name), f": {page.texts.said(fault)[:_LONGEST_FAULT]}"),
            _deletion(page, name) if not name_fault(name) else None,
            class_="cl-warning",
        )
        for name, fault in faults
    ]
    buttons = [
        tag(
            "button",
            entry.name,
            type="button",
            class_="cl-chip",
            data_act="open_project",
            data_name=entry.name,
        )
        for entry in entries[:_MOST_SHOWN]
        if entry.name not in dict(faults)
    ]
    return page.block("project.open", tag("div", buttons, class_="cl-chips") if buttons else None, *broken)


def _from_lora(page: Page) -> Html:
    """Bring a recipe back out of a LoRA that was published from here."""
    drop = tag(
        "div",
        tag("strong", page.texts("project.from_lora_drop")),
        tag("span", page.texts("project.from_lora_says"), class_="cl-quiet"),
        tag("input", type="file", accept=".safetensors", data_upload="project_from_lora", data_head=True,
            aria_label=page.texts("project.from_lora_drop")),
        class_="cl-drop",
    )  # fmt: skip
    return folded(page.texts("project.from_lora"), drop, name="from-lora")


# The opened project


def _faults(page: Page) -> Html:
    texts, faults = page.texts, page.opened.faults
    if not faults:
        return Html("")
    places = list(zip(faults, page.opened.places, strict=True))[:_FAULTS_SHOWN]
    items = [tag("li", way_to(place, texts.said(fault), css="cl-link")) for fault, place in places]
    return tag(
        "div",
        tag("strong", page.texts("project.faults")),
        tag("ul", items, class_="cl-list"),
        class_="cl-warning",
    )


def _model(page: Page) -> Html:
    return join(page.fields("project", without=_OWN_PLACE), page.folded_fields("project", without=_OWN_PLACE))


def _methods(page: Page) -> Html:
    chosen = page.opened.recipe.method
    cards = [
        tag(
            "button",
            method_sketch(name),
            tag("strong", page.texts(f"method.{name}")),
            tag("span", page.texts(f"method.{name}.says"), class_="cl-quiet"),
            type="button",
            class_="cl-card",
            aria_pressed="true" if name == chosen else "false",
            data_act="set",
            data_key="project.method",
            data_target="recipe",
            data_value=name,
        )
        for name in METHODS
    ]
    return tag("div", cards, class_="cl-cards")


def _checkpoint(page: Page) -> Html:
    option: Option = OPTIONS["project.checkpoint"]
    chosen = str(page.value(option) or "")
    select = _checkpoint_select(page, chosen, data_set=option.key, data_target="recipe")
    refresh = tag(
        "button",
        page.texts("project.refresh"),
        type="button",
        class_="cl-link",
        data_act="refresh_checkpoints",
    )
    label = tag("div", tag("span", page.texts("new.checkpoint")), refresh, class_="cl-label")
    return tag("div", label, select, class_="cl-field")


def _presets(page: Page) -> Html:
    cards = [
        tag(
            "button",
            tag("strong", page.texts.named("preset", name)),
            tag("span", page.texts.named("preset", f"{name}.says"), class_="cl-quiet"),
            type="button",
            class_="cl-card",
            aria_pressed="true" if starter.has_preset(page.opened.recipe, name) else "false",
            data_act="set",
            data_key="preset",
            data_target="recipe",
            data_value=name,
        )
        for name in PRESETS
    ]
    return tag("div", cards, class_="cl-cards")


def _base(page: Page) -> Html:
    """The optional step 0: what must not be learned goes into the base model first."""
    says = tag("p", page.texts("project.base_says"), class_="cl-lead")
    return join(says, page.fields("base", advanced=True), page.fields("base"))


def _manage(page: Page) -> Html:
    texts, name = page.texts, page.opened.folder_name
    buttons = (
        parts.button(texts("project.prune"), "prune", confirm=texts("project.prune_sure")),
        _deletion(page, name),
    )
    return page.block(
        "project.copy",
        _naming(page, "rename", name),
        _naming(page, "duplicate", page.workshop.free_name(name)),
        tag("div", buttons, class_="cl-row"),
        _folder(page) if page.host.info.may_choose_paths else None,
    )


def _naming(page: Page, what: str, name: str) -> Html:
    """A name, and a button that gives it to the project or to a copy of it."""
    label = page.texts("new.name")
    return tag(
        "div",
        tag("input", type="text", name="name", value=name, aria_label=label, maxlength=60),
        parts.button(page.texts(f"project.{what}"), f"{what}_project"),
        class_="cl-row",
        data_form=what,
        data_keep=f"{what}-{page.opened.folder_name}",
    )


def _deletion(page: Page, name: str) -> Html:
    sure = page.texts("project.delete_sure", name=name)
    return parts.button(page.texts("project.delete"), "delete_project", name=name, confirm=sure)


def _folder(page: Page) -> Html:
    """Where the project lies, to be copied: a browser on another machine can open no folder."""
    path = str(page.opened.project.folder)
    copy = tag("button", page.texts("copy"), type="button", class_="cl-link", data_copy=path)
    return tag("div", tag("span", page.texts("project.folder")), tag("code", path), copy, class_="cl-row")
