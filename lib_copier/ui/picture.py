"""Pictures on the page: plain, side by side under one drag handle, and a strip that a slider scrubs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lib_copier.markup.html import Html, tag


@dataclass(frozen=True)
class PictureRoutes:
    """How the browser reaches a picture on disk: the host's gradio serves files, else we do ourselves."""

    prefix: str
    """``./file=``, ``./gradio_api/file=`` or our own ``./file/``."""
    root: Path | None = None
    """The folder that addresses begin at; None: they hold whole paths, as gradio wants them."""

    def url(self, path: Path) -> str:
        """The picture's address; its time is part of it, so that a replaced file is not shown old."""
        try:
            changed = path.stat().st_mtime_ns // 1_000_000
        except OSError:
            changed = 0
        shown = path if self.root is None else path.relative_to(self.root)
        return f"{self.prefix}{quote(shown.as_posix(), safe='/:')}?{changed}"


def figure(url: str, caption: str = "", *, alt: str = "", is_large: bool = False) -> Html:
    """One picture with a line under it; a click shows it large."""
    return tag(
        "figure",
        tag("img", src=url, alt=alt or caption, loading="lazy", data_zoom=True, tabindex=0),
        tag("figcaption", caption) if caption else None,
        class_="cl-figure cl-large" if is_large else "cl-figure",
    )


def gallery(figures: Sequence[Html]) -> Html:
    """Pictures in as many columns as fit."""
    return tag("div", figures, class_="cl-gallery")


def compare(before: str, after: str, before_word: str, after_word: str, *, name: str, label: str) -> Html:
    """Two pictures of one size, one over the other, with a handle to drag: left before, right after."""
    return tag(
        "div",
        tag("img", src=after, alt=after_word, class_="cl-after", draggable="false"),
        tag("img", src=before, alt=before_word, class_="cl-before", draggable="false"),
        tag("span", before_word, class_="cl-word cl-word-left"),
        tag("span", after_word, class_="cl-word cl-word-right"),
        tag("div", class_="cl-handle"),
        tag("input", type="range", min=0, max=100, step="any", value=50, aria_label=label, data_compare=True),
        class_="cl-compare",
        data_keep=name,
    )


@dataclass(frozen=True)
class Strip:
    """One picture at every weight."""

    caption: str
    urls: tuple[str, ...]
    infotext: str = ""
    """What txt2img makes such a picture from, with ``{weight}`` in its tag; empty: nobody is asked."""


def scrub(
    strips: Sequence[Strip],
    weights: Sequence[float],
    *,
    name: str,
    label: str,
    start: float,
    act: str = "",
    send_label: str = "",
) -> Html:
    """A weight slider over strips of pictures: moving it changes which one is seen, and asks for `act`."""
    first = min(range(len(weights)), key=lambda index: abs(weights[index] - start))
    figures = [
        tag(
            "figure",
            tag(
                "div",
                [
                    tag("img", src=url, alt=f"{strip.caption}, {weight:g}", hidden=index != first)
                    for index, (url, weight) in enumerate(zip(strip.urls, weights, strict=True))
                ],
                class_="cl-frames",
            ),
            tag("figcaption", strip.caption, title=strip.caption),
            tag("button", send_label, type="button", class_="cl-link", data_txt2img=strip.infotext)
            if strip.infotext
            else None,
            class_="cl-figure",
        )
        for strip in strips
    ]
    slider = tag(
        "input",
        type="range",
        min=0,
        max=len(weights) - 1,
        step=1,
        value=first,
        aria_label=label,
        aria_valuetext=f"{weights[first]:g}",
        data_scrub=" ".join(f"{weight:g}" for weight in weights),
        data_choose=act or None,
    )
    ticks = tag(
        "div", [tag("span", f"{weight:+g}" if weight else "0") for weight in weights], class_="cl-ticks"
    )
    shown = tag("output", f"{weights[first]:+g}" if weights[first] else "0")
    head = tag("div", tag("label", label), shown, class_="cl-scrub-head")
    return tag(
        "div",
        head,
        slider,
        ticks,
        tag("div", figures, class_="cl-gallery"),
        class_="cl-scrub",
        data_keep=name,
    )
