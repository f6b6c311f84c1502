"""The WebUI's prompt syntax: weights, BREAK, ``<lora:NAME:WEIGHT>``, and what the embedded generator lacks.

Everything here takes time in proportion to a prompt's length, whatever is in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

STRENGTHEN = 1.1
LONGEST = 20_000
"""Characters of a prompt: some 60 chunks of tokens, more than any model can tell apart."""

_TOKEN = re.compile(
    r"""
    \\[()\[\]\\]                      # an escaped bracket or backslash
    | :\s*(?P<weight>[+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)  # the end of (words:1.3)
    | [()\[\]:\\]
    | \bBREAK\b\s*
    | [^\\()\[\]:B]+ | B
    """,
    re.VERBOSE,
)
_NETWORK = re.compile(r"<(\w+):([^<>]+)>")
_SCHEDULE = re.compile(r"\\.|[()\[\]:|]|\bAND\b|[^\\()\[\]:|A]+|A|\\", re.DOTALL)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*")
_UNKNOWN = "is not known here (add its file to project.loras, name its folder by --lora_dir, or take it out)"
_CLOSES = {")": "(", "]": "["}
_PART_WEIGHT = re.compile(r":\s*[+-]?[\d.]+\s*\Z")


@dataclass(frozen=True)
class Phrase:
    """Words that share one weight; `is_break` marks the wish to begin a new chunk (it has no words)."""

    text: str
    weight: float = 1.0
    is_break: bool = False


@dataclass(frozen=True)
class Network:
    """A tag in a prompt: ``<lora:NAME:WEIGHT>``, ``<lora:NAME:TE:UNET>`` or ``<lora:NAME:te=…:unet=…>``.

    `fault` says why it cannot be used; empty where it can.
    """

    tag: str
    name: str
    unet: float = 1.0
    text_encoder: float = 1.0
    fault: str = ""


def parse_prompt(text: str) -> list[Phrase]:
    """Split a prompt by weight.

    ``(`` … ``)`` strengthens by 1.1 and ``[`` … ``]`` weakens by 1.1, nested as deep as one likes;
    ``(words:1.3)`` says the factor. A bracket that never closes acts to the end; one that never opened,
    and a colon outside of brackets, are ordinary text. A backslash makes a bracket ordinary
    and vanishes itself, also where no bracket follows.

    >>> [(phrase.text, phrase.weight) for phrase in parse_prompt("a (red:1.5) cat")]
    [('a ', 1.0), ('red', 1.5), (' cat', 1.0)]
    """
    pieces: list[str | None] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}
    spans: dict[str, list[tuple[int, int, float]]] = {"(": [], "[": []}

    def close(bracket: str, factor: float) -> None:
        spans[bracket].append((opened[bracket].pop(), len(pieces), factor))

    for token in _TOKEN.finditer(text):
        piece = token[0]
        if piece in opened:
            opened[piece].append(len(pieces))
        elif token["weight"] and opened["("]:
            close("(", float(token["weight"]))
        elif piece == ")" and opened["("]:
            close("(", STRENGTHEN)
        elif piece == "]" and opened["["]:
            close("[", 1.0 / STRENGTHEN)
        elif piece.startswith("BREAK"):
            pieces.append(None)
        else:
            pieces.append(piece.removeprefix("\\"))
    while opened["("]:
        close("(", STRENGTHEN)
    while opened["["]:
        close("[", 1.0 / STRENGTHEN)
    round_, square = (_factors(spans[bracket], len(pieces)) for bracket in "([")
    weights = [one * other for one, other in zip(round_, square, strict=True)]
    return list(_joined(pieces, weights)) or [Phrase("")]


def _factors(spans: list[tuple[int, int, float]], count: int) -> Iterator[float]:
    """What the brackets around each of `count` pieces multiply to; `spans` nest, inner ones come first."""
    starts: dict[int, list[tuple[int, float]]] = {}
    for start, end, factor in reversed(spans):
        starts.setdefault(start, []).append((end, factor))
    around = [(count + 1, 1.0)]
    for place in range(count):
        while around[-1][0] <= place:
            around.pop()
        for end, factor in starts.get(place, ()):
            if end > place:
                around.append((end, around[-1][1] * factor))
        yield around[-1][1]


def _joined(pieces: list[str | None], weights: list[float]) -> Iterator[Phrase]:
    """Pieces of equal weight side by side as one phrase."""
    for (is_break, weight), run in groupby(
        zip(pieces, weights, strict=True), lambda pair: (pair[0] is None, pair[1])
    ):
        texts = [piece for piece, _ in run]
        if is_break:
            yield from (Phrase("", weight, is_break=True) for _ in texts)
        else:
            yield Phrase("".join(text for text in texts if text), weight)


def networks(text: str) -> tuple[str, list[Network]]:
    """The prompt without its tags, and the tags, as the WebUI's Lora extension reads them."""
    found = [_network(tag[0], tag[1], tag[2].split(":")) for tag in _NETWORK.finditer(text)]
    return (_NETWORK.sub("", text), found) if found else (text, [])


def _network(tag: str, kind: str, items: list[str]) -> Network:
    named = dict(item.split("=") for item in items if item.count("=") == 1)
    positional = [item for item in items if item.count("=") != 1]
    name = positional[0] if positional else ""
    if kind not in ("lora", "lyco"):
        return Network(tag, name, fault="is no LoRA, and nothing else can be added to a prompt here")
    if not name or "dyn" in named or len(positional) > 3:
        why = "cuts the LoRA's rank, which only the WebUI does" if name else "names no LoRA"
        return Network(tag, name, fault=why)
    try:
        text_encoder = float(named.get("te", (*positional, "1")[1]))
        unet = float(named.get("unet", positional[2] if len(positional) > 2 else text_encoder))
    except ValueError:
        unet = text_encoder = math.nan
    if not (math.isfinite(unet) and math.isfinite(text_encoder)):
        return Network(tag, name, fault="has a weight that is no number")
    return Network(tag, name, unet, text_encoder)


def settled(text: str) -> str:
    """The prompt without what changes or divides while a picture is made.

    ``[from:to:when]`` becomes what it ends as, ``[one|other]`` what it begins with, AND a comma. Where
    nothing of this is in it, the prompt itself comes back.

    >>> settled("a [red:blue:0.5] (cat:1.2) AND [old|new] hat")
    'a blue (cat:1.2), old hat'
    """
    pieces: list[str] = []
    opened: list[tuple[str, int, list[int]]] = []
    part = 0
    for token in _SCHEDULE.finditer(text):
        piece = token[0]
        if piece == "AND":
            # The WebUI divides first: brackets do not reach over an AND, and each part may have a weight.
            opened.clear()
            pieces[part:] = [_PART_WEIGHT.sub("", "".join(pieces[part:])).rstrip(), ","]
            part = len(pieces)
            continue
        pieces.append(piece)
        if piece in "([":
            opened.append((piece, len(pieces) - 1, []))
        elif piece in ":|" and opened:
            opened[-1][2].append(len(pieces) - 1)
        elif piece in _CLOSES and opened:
            bracket, start, marks = opened.pop()
            if bracket != _CLOSES[piece]:
                opened.clear()
            elif bracket == "[" and (kept := _state(pieces, start, marks)) is not None:
                pieces[start:] = pieces[kept]
    if part:
        pieces[part:] = [_PART_WEIGHT.sub("", "".join(pieces[part:]))]
    return "".join(pieces)


def _state(pieces: list[str], start: int, marks: list[int]) -> slice | None:
    """Which pieces a ``[`` … ``]`` that has just closed stands for; None where nothing in it changes."""
    bars = [mark for mark in marks if pieces[mark] == "|"]
    if bars:
        return slice(start + 1, bars[0]) if len(bars) == len(marks) else None
    if not marks or len(pieces) - marks[-1] != 3 or _NUMBER.fullmatch(pieces[-2]) is None:
        return None
    return slice((marks[-2] if len(marks) > 1 else start) + 1, marks[-1])


def faults(text: str) -> Iterator[str]:
    """Why the embedded generator cannot print a prompt, a few words each; tags count as unknown LoRAs."""
    if len(text) > LONGEST:
        yield f"is {len(text)} characters long (at most {LONGEST} are read)"
        return
    for network in networks(text)[1]:
        yield f"names {network.tag:.80}, which {network.fault or _UNKNOWN}"
    if settled(text) != text:
        yield (
            "mixes prompts (AND, [from:to:when], [one|other]), which only the WebUI does: generate it there, "
            "or write one prompt (a plain 'and' is in small letters)"
        )


def caption_of(text: str) -> str:
    """A prompt as a caption for training: its words alone, on one line.

    Brackets and weights, tags, BREAK and AND go; escaped brackets lose their backslash.

    >>> caption_of(r"(a cat:1.2) BREAK hat \\(red\\) <lora:thick:0.5>")
    'a cat, hat (red)'
    """
    phrases = parse_prompt(settled(networks(text)[0]))
    text = "".join("\n" if phrase.is_break else phrase.text.replace("\n", " ") for phrase in phrases)
    kept = (" ".join(part.split()).strip(" ,") for part in text.split("\n"))
    return ", ".join(part for part in kept if part)


def caption_at_its_word(text: str) -> str:
    """What somebody wrote to be trained with, on one line: all of it but tags, which never act there.

    >>> caption_at_its_word("cat (animal), <lora:thick:0.5>")
    'cat (animal)'
    """
    without, tags = networks(text)
    line = " ".join(without.split())
    return line.strip(" ,") if tags else line
