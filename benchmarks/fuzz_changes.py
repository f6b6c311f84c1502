"""Changes to sound inputs: each takes a seed of random numbers and gives what a broken or hostile file holds.

Every function is deterministic in its `random`.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Change = Callable[[bytes, Random], bytes]

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)
_MOST_BYTES = 1 << 20
"""What a change may grow an input to; long texts and deep nesting come from `json_tree` and `text`."""


def scratches(data: bytes, random: Random) -> bytes:
    """A few bits or bytes flipped, runs cleared, repeated, dropped, moved; numbers at their types' edges."""
    found = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 2, 3, 8, 30))):
        if not found:
            break
        at, length = random.randrange(len(found)), min(random.choice((1, 2, 4, 16, 200)), len(found))
        run = found[at : at + length]
        kind = random.randrange(7)
        if kind == 0:
            found[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            found[at] = random.randrange(256)
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at:at] = run * random.choice((1, 3, 50))
        elif kind == 4:
            found[at : at + length] = random.choice((b"\0", b"\xff")) * len(run)
        elif kind == 5:
            size = random.choice("BHIQ")
            number = random.choice(_EDGES) & ((1 << 8 * struct.calcsize(size)) - 1)
            raw = struct.pack(random.choice("<>") + size, number)
            found[at : at + len(raw)] = raw
        else:
            found[random.randrange(len(found)) :] = found[: random.randrange(len(found))]
        del found[_MOST_BYTES:]
    return bytes(found)


def cut(data: bytes, random: Random) -> bytes:
    """The beginning alone, or all but the beginning."""
    at = random.randrange(len(data) + 1)
    return data[:at] if random.random() < 0.8 else data[at:]


def png_chunks(data: bytes, random: Random) -> bytes:
    """A PNG with one chunk changed, doubled, dropped or made up, and its checks right again."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    number = random.randrange(len(chunks))
    kind, content = chunks[number]
    way = random.randrange(5)
    if way == 0 and kind == b"IDAT":
        chunks[number] = kind, zlib.compress(scratches(zlib.decompress(content), random))
    elif way <= 1:
        chunks[number] = kind, scratches(content, random)
    elif way == 2:
        chunks.insert(number, chunks[random.randrange(len(chunks))])
    elif way == 3:
        del chunks[number]
    else:
        names: tuple[bytes, ...] = (
            b"iCCP",
            b"gAMA",
            b"cHRM",
            b"cICP",
            b"sRGB",
            b"tRNS",
            b"tEXt",
            b"zTXt",
            b"iTXt",
            b"eXIf",
        )
        names += (b"acTL", b"fcTL", b"fdAT", b"PLTE", b"IHDR")
        packed = b"x\0\0" + zlib.compress(random.randbytes(40) * random.choice((1, 50_000)))
        content = random.choice((b"", random.randbytes(random.choice((1, 4, 9, 32, 300))), packed))
        chunks.insert(min(1, number), (random.choice(names), content))
    made = data[:8]
    for kind, content in chunks:
        made += struct.pack(">I", len(content)) + kind + content
        made += struct.pack(">I", zlib.crc32(kind + content))
    return made


def text(data: bytes, random: Random) -> bytes:
    """A text with words repeated, dropped, or replaced by what no person types."""
    found = data.decode("utf-8", "replace")
    for _ in range(random.choice((1, 2, 5))):
        at = random.randrange(len(found) + 1)
        end = min(len(found), at + random.choice((0, 1, 5, 50)))
        found = found[:at] + random.choice(_SNIPPETS) * random.choice((1, 1, 1, 3, 2000)) + found[end:]
        found = found[:_MOST_BYTES]
    raw = found.encode("utf-8", "surrogatepass")
    return random.choice((raw, raw, raw, b"\xef\xbb\xbf" + raw, found.encode("utf-16", "replace")))


_SNIPPETS = (
    *"()[]{}<>:;,=|\\\"'%&\0\n\r\t\x1b\x7f\u2028\ud800\U0001f600",
    *("(a:", "((", ":1.3)", ":1e999)", ":nan)", "BREAK", " AND ", "[a:b:0.5]", "[a|b]", "<lora:a:1>"),
    *(
        "<lora:../../x:9e99>",
        "<lora::>",
        "--",
        "#",
        "Steps: 1e9",
        "Size: 0x0",
        "Seed: -1",
        "Negative prompt:",
    ),
    *("inf", "NaN", "-0", "9" * 400, "../..", "C:\\", "/etc/passwd", "CON", "𝟙", "Ⅷ", "null", "\ufeff"),
)


def json_tree(data: bytes, random: Random) -> bytes:
    """A JSON text with a part of another type, doubled, dropped, renamed or nested."""
    tree = json.loads(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = list(_places(tree))
        if not places:
            break
        home, name = random.choice(places)
        way = random.randrange(8)
        if way == 0:
            del home[name]
        elif way == 1 and isinstance(home, dict):
            home[random.choice(_NAMES)] = home.pop(name)
        elif way == 2:
            other_home, other = random.choice(places)
            home[name] = copy.deepcopy(other_home[other])
        elif way == 3 and isinstance(home, list):
            home.extend([copy.deepcopy(home[name])] * random.choice((1, 100)))
        elif way == 4:
            for _ in range(random.choice((1, 3, 60))):
                home[name] = random.choice(([home[name]], {"a": home[name]}))
        else:
            home[name] = copy.deepcopy(random.choice(_VALUES))
    if random.random() < 0.02:
        tree = random.choice(_VALUES)
    raw = json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    for mark, written in _RAW.items():
        raw = raw.replace(f'"{mark}"'.encode(), written)
    return scratches(raw, random) if random.random() < 0.1 else raw


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with each name or index in it."""
    names = range(len(tree)) if isinstance(tree, list) else list(tree) if isinstance(tree, dict) else ()
    for name in names:
        yield tree, name
        yield from _places(tree[name])


_RAW = {
    "@huge": b"1" + b"0" * 400,
    "@overflow": b"1e999",
    "@nan": b"NaN",
    "@deep": b"[" * 100_000,
    "@closed": b"[" * 900 + b"]" * 900,
    "@twice": b'{"a": 1, "a": 2}',
    "@half": b'"\\ud800"',
}
_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e308, 2**31, 2**63, 2**64, 10**19, -(2**63)),
    *("", "a", "0", "-1", "1e9", "none", "nan", "../..", "/", "/dev/zero", "a\0b", "\ud800", "x" * 5000),
    *("名前", "a/b", "a\\b", "NUL", "a" * 300, "%s{0}", "<b>&", "\n\n", " ", ".", "é" * 100),
    *([], {}, [[]], [None], {"": None}, [0] * 1000, {"a": {"b": {"c": []}}}, [{}], ["a", 1, None]),
    *_RAW,
)
_NAMES = ("", "a", "name", "path", "__class__", "\0", "名", "0", "x" * 300)


def safetensors(data: bytes, random: Random) -> bytes:
    """A safetensors file with its header's tree or its length changed; the rest follows where it can."""
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length], data[8 + length :]
    way = random.randrange(6)
    if way == 0:
        return struct.pack("<Q", random.choice((*_EDGES, length - 1, length + 1, len(data)))) + data[8:]
    if way == 1:
        rest = cut(rest, random)
    else:
        header = json_tree(header, random)
    return struct.pack("<Q", len(header)) + header + rest


def metadata(data: bytes, random: Random) -> bytes:
    """A safetensors file one of whose metadata texts is changed, as JSON where it is that."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    notes = header["__metadata__"]
    name = random.choice(list(notes))
    raw = notes[name].encode()
    is_tree = raw[:1] in b"{[" and random.random() < 0.8
    notes[name] = (json_tree if is_tree else text)(raw, random).decode("utf-8", "surrogatepass")
    found = json.dumps(header).encode()
    return struct.pack("<Q", len(found)) + found + data[8 + length :]


def json_lines(data: bytes, random: Random) -> bytes:
    """Lines of JSON, one of them changed."""
    lines = data.splitlines()
    number = random.randrange(len(lines))
    lines[number] = json_tree(lines[number], random)
    return b"\n".join(lines) + b"\n"


def zip_members(data: bytes, random: Random) -> bytes:
    """A zip file with a member changed, dropped or renamed, its checks right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    number = random.randrange(len(members))
    name, content = members[number]
    way = random.randrange(5)
    if way <= 2:
        members[number] = name, scratches(content, random)
    elif way == 3:
        del members[number]
    else:
        members[number] = random.choice(("../x", "/x", name + "x", "archive/data.pkl")), content
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()
