"""The option table as form fields; a field's name is its option's key, so nothing goes by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from lib_copier.markup.html import Html, element_id, join, tag
from lib_copier.settings.optimizers import OPTIMIZERS
from lib_copier.settings.option import LISTS, Option, Value

if TYPE_CHECKING:
    from lib_copier.ui.phrases import Place
    from lib_copier.ui.texts import Texts

ValueOf = Callable[[Option], Value]


def fields(
    options: Iterable[Option],
    value_of: ValueOf,
    texts: Texts,
    *,
    target: str,
    shown: Mapping[str, Value],
    own: frozenset[str] = frozenset(),
    faults: Mapping[str, str] = MappingProxyType({}),
) -> Html:
    """Fields for the options that matter now.

    Parameters
    ----------
    target:
        What a change is made to: ``recipe``, ``origin`` or ``edit``.
    shown:
        The values that decide which options matter.
    own:
        Keys that the edit has values of its own for; they can be given back.
    faults:
        What is wrong with a value, by the option's key.
    """

    def drawn(option: Option) -> Html:
        return field(
            option,
            value_of(option),
            texts,
            target=target,
            is_own=option.key in own,
            warning=_rate_warning(option, value_of(option), shown, texts),
            fault=faults.get(option.key, ""),
        )

    shown_options = [option for option in options if option.is_shown(shown)]
    # Fields of one width stand in one grid: a wide one among narrow ones would keep columns open for nobody.
    return join(
        *(
            tag("div", [drawn(option) for option in run], class_="cl-form")
            for _, run in groupby(shown_options, key=_is_wide)
        )
    )


def _rate_warning(option: Option, value: Value, shown: Mapping[str, Value], texts: Texts) -> str:
    """What to think of before a learning rate that its optimiser is not used with; empty where it is."""
    used = OPTIMIZERS.get(str(shown.get(f"{option.group}.optimizer")))
    if (
        used is None
        or shown.get(f"{option.group}.find_rate")
        or option.name not in {"learning_rate", "text_encoder_lr"}
        or not isinstance(value, float)
    ):
        return ""
    low, high = used.rates
    # A text encoder at rate 0 is left alone.
    is_usual = low <= value <= high or (value == 0 and option.optional)
    return "" if is_usual else texts("form.rate", optimizer=used.kind, low=f"{low:g}", high=f"{high:g}")


def _is_wide(option: Option) -> bool:
    return option.kind in {"text", "path", *LISTS}


def field(
    option: Option,
    value: Value,
    texts: Texts,
    *,
    target: str,
    is_own: bool = False,
    warning: str = "",
    fault: str = "",
) -> Html:
    """One labelled input of the kind that the option needs."""
    name = element_id("field", target, option.key)
    attributes = {"id": name, "data_set": option.key, "data_target": target}
    if fault:
        attributes |= {"aria_invalid": "true", "aria_describedby": f"{name}-fault"}
    help_text = texts.option_help(option)
    label = tag("label", texts.option_label(option), for_=name)
    shared = tag("button", texts("form.shared"), type="button", class_="cl-link", data_act="unset",
                 data_key=option.key, title=texts("form.shared_help")) if is_own else None  # fmt: skip
    if option.kind == "bool":
        box = tag("input", type="checkbox", checked=bool(value), **attributes)
        body = tag("div", box, label, shared, class_="cl-check")
    else:
        body = join(tag("div", label, shared, class_="cl-label"), _input(option, value, texts, attributes))
    notes = (
        tag("p", help_text, class_="cl-help") if help_text else None,
        tag("p", warning, class_="cl-warning") if warning else None,
        tag("p", fault, class_="cl-fault", id=f"{name}-fault") if fault else None,
    )
    return tag(
        "div",
        body,
        tag("div", notes, class_="cl-notes") if any(notes) else None,
        class_="cl-field cl-wide" if _is_wide(option) else "cl-field",
    )


def _input(option: Option, value: Value, texts: Texts, attributes: Mapping[str, str]) -> Html:
    text = option.text(value)
    if option.choices:
        choices = [
            tag("option", texts.choice(option, choice), value=choice, selected=choice == value)
            for choice in option.choices
        ]
        return tag("select", choices, **attributes)
    if option.kind in {"text", *LISTS}:
        lines = value if isinstance(value, tuple) else (str(value or ""),)
        return tag("textarea", "\n".join(lines), rows=3 if option.kind in LISTS else 2, **attributes)
    if option.kind in {"int", "float"} and not option.optional:
        step = "1" if option.kind == "int" else "any"
        limits = {"min": option.minimum, "max": option.maximum}
        written = {key: f"{limit:.15g}" for key, limit in limits.items() if limit is not None}
        return tag(
            "input", type="number", value=text, step=step, inputmode="decimal", **written, **attributes
        )
    shown = "" if value is None else text
    placeholder = texts("form.none") if option.optional else None
    return tag("input", type="text", value=shown, placeholder=placeholder, spellcheck="false", **attributes)


def folded(title: str, content: Html | str, *, name: str) -> Html:
    """A part that opens on demand; the browser remembers whether it is open."""
    if not content:
        return Html("")
    return tag("details", tag("summary", title), content, data_keep=name, class_="cl-fold")


def way_to(place: Place, text: str, *, css: str) -> Html:
    """A button that leads to where a fault is mended, and there to its field."""
    return tag(
        "button",
        text,
        type="button",
        class_=css,
        data_go_panel=place.panel,
        data_go_origin=place.origin or None,
        data_go_edit=place.edit or None,
        data_go_field=place.key or None,
    )
