"""Small drawings that explain the methods at a glance."""

from __future__ import annotations

from lib_copier.markup.html import Html, tag


def _box(x: int, label: str, *, is_strong: bool = False) -> list[Html]:
    css = "cl-strong" if is_strong else None
    return [
        tag(
            "rect",
            x=x,
            y=22,
            width=54,
            height=34,
            rx=6,
            fill="none",
            stroke="currentColor",
            stroke_width=1.6,
            class_=css,
        ),
        tag(
            "text", label, x=x + 27, y=43, text_anchor="middle", font_size=11, fill="currentColor", class_=css
        ),
    ]


def _sign(x: int, sign: str) -> Html:
    return tag("text", sign, x=x, y=44, text_anchor="middle", font_size=16, fill="currentColor")


def method_sketch(method: str) -> Html:
    """Copier: picture → copier → edit → slider. Difference: the edit's copier minus the picture's. Pairs:
    pictures and their edited copies → slider."""
    if method == "copier":
        drawn = [*_box(6, "A"), _sign(72, "→"), *_box(84, "A A A"), _sign(150, "→"), *_box(162, "A → B"),
                 _sign(228, "→"), *_box(240, "± B", is_strong=True)]  # fmt: skip
    elif method == "pairs":
        drawn = [*_box(16, "A → B"), *_box(76, "C → D"), *_box(136, "E → F"), _sign(206, "→"),
                 *_box(222, "±", is_strong=True)]  # fmt: skip
    else:
        drawn = [*_box(34, "B B B"), _sign(104, "−"), *_box(120, "A A A"), _sign(190, "="),
                 *_box(206, "± B", is_strong=True)]  # fmt: skip
    return tag("svg", drawn, viewBox="0 0 300 78", class_="cl-sketch", aria_hidden="true")
