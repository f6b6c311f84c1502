"""What the numbers of a picture file mean as colours, and the same picture as sRGB.

A profile is judged by what it does to colours, never by its name.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

Primaries = Sequence[tuple[float, float]]
"""CIE xy of white, red, green and blue."""

_D65 = (0.3127, 0.3290)
_SRGB: Primaries = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_ADOBE: Primaries = (_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_CICP_PRIMARIES: dict[int, Primaries] = {
    1: _SRGB,
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""ITU-T H.273, table 2: BT.709, BT.2020, Display P3."""
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CICP_CURVES: dict[int, Sequence[float]] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: _SRGB_CURVE,
}
"""ITU-T H.273, table 3, as parameters of ICC's parametric curves; PQ (16) and HLG (18) are no such curve."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
"""XYZ of the white that ICC's profiles are measured against."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_DEVICES = frozenset({"scnr", "mntr", "prtr", "spac"})
_SAME_WITHIN = 1
"""A profile that moves no colour by more than this many of 255 levels is sRGB."""
_LONGEST_NAME = 60
_FINE_GRID, _NO_GRID = 0x0400, 0x0100
"""lcms2.h: cmsFLAGS_HIGHRESPRECALC, cmsFLAGS_NOOPTIMIZE."""


@dataclass(frozen=True)
class Claim:
    """One thing that a file says about its colours; no `profile` means sRGB, or not understood."""

    words: str
    profile: bytes | None = None
    is_understood: bool = True


def to_srgb(image: Image.Image, claims: Sequence[Claim], notes: list[str]) -> Image.Image:
    """The picture as RGB in sRGB by the first claim that can be used.

    Parameters
    ----------
    image:
        Mode L, RGB, CMYK or LAB, 8 bits a channel.
    claims:
        See `claims_of`; none of them means sRGB.
    notes:
        Takes a sentence for a conversion, and for a claim that cannot be used.
    """
    for claim in claims:
        converted = None
        if claim.profile is not None:
            converted = _by_profile(image, claim, notes)
        elif claim.is_understood and image.mode in ("L", "RGB"):
            converted = image.convert("RGB")
        if converted is not None:
            return converted
        notes.append(f"Its {claim.words} could not be used and was ignored: colours may differ.")
    if image.mode == "CMYK":
        notes.append("It was converted from CMYK without a colour profile: colours may differ.")
    if image.mode == "LAB":
        return _converted(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image.convert("RGB")


def claims_of(image: Image.Image, data: bytes) -> Iterator[Claim]:
    """What a file says about its colours, the strongest word first.

    PNG: cICP, then iCCP, then sRGB, then gAMA with cHRM (PNG specification, third edition, section 4.3).
    Others: the profile, then what EXIF says of its colour space (Exif 3.0, section 4.6.5.4: DCF's R03
    is Adobe RGB).
    """
    info = image.info
    if image.format == "PNG":
        code_points = _png_chunk(data, b"cICP")
        if code_points is not None:
            yield _of_code_points(code_points)
    if info.get("icc_profile"):
        yield Claim("colour profile", info["icc_profile"])
    if image.format == "PNG":
        if "srgb" in info:
            yield Claim("sRGB chunk")
        elif "gamma" in info or "chromaticity" in info:
            yield _of_gamma(info)
    elif _is_adobe_by_exif(image):
        yield Claim("EXIF colour space (Adobe RGB)", matrix_profile(_ADOBE, (563 / 256,)))


def _is_adobe_by_exif(image: Image.Image) -> bool:
    try:
        exif = image.getexif()
        return exif.get_ifd(0x8769).get(0xA001) == 2 or exif.get_ifd(0xA005).get(1) == "R03"
    except Exception:
        # Pillow's reader raises whatever damaged EXIF data lead it to; that they are missing is a KeyError.
        return False


def matrix_profile(primaries: Primaries, curve: Sequence[float]) -> bytes:
    """An ICC profile (version 4) of three primaries and one curve.

    Parameters
    ----------
    primaries:
        CIE xy of white, red, green, blue; adapted to D50 by Bradford's transform (ICC.1:2022, annex E).
    curve:
        Parameters of a parametric curve (ICC.1:2022, section 10.18): one number is a gamma, five are
        (g, a, b, c, d) of y = (a x + b)^g from d on, c x below.
    """
    xyz = np.array([(x / y, 1.0, (1.0 - x - y) / y) for x, y in primaries])
    white, colours = xyz[0], xyz[1:].T
    colours = colours * np.linalg.solve(colours, white)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    colours = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ colours
    shape = struct.pack(">4sIHH", b"para", 0, {1: 0, 5: 3}[len(curve)], 0) + _fixed(curve)
    tags = {b"wtpt": _xyz(_D50)}
    tags |= {name: _xyz(colours[:, at]) for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), shape)
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + body


def _fixed(numbers: Sequence[float] | np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(float(number) * 65536)) for number in numbers)


def _xyz(numbers: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(numbers)


def _of_code_points(chunk: bytes) -> Claim:
    """The claim of a cICP chunk: primaries, transfer, matrix (0: RGB), full range (1)."""
    points = tuple(chunk[:4])
    if len(points) < 4 or points[2:] != (0, 1):
        return Claim("cICP chunk", is_understood=False)
    primaries, curve = _CICP_PRIMARIES.get(points[0]), _CICP_CURVES.get(points[1])
    if primaries is None or curve is None:
        return Claim("cICP chunk", is_understood=False)
    return Claim("cICP chunk", matrix_profile(primaries, curve))


def _of_gamma(info: dict[str | tuple[int, int], Any]) -> Claim:
    """The claim of gAMA and cHRM; either may be missing and is sRGB's then."""
    words, encoding = "gAMA and cHRM chunks", float(info.get("gamma", 1 / 2.2))
    numbers = info.get("chromaticity") or [value for point in _SRGB for value in point]
    primaries = list(zip(numbers[::2], numbers[1::2], strict=False))
    # Writers put 1/2.2 where they mean sRGB's own curve; libpng takes it so within a twentieth.
    is_usual = abs(encoding * 2.2 - 1.0) <= 0.05
    curve = _SRGB_CURVE if is_usual else (1.0 / max(encoding, 1e-3),)
    is_sound = 0.05 <= encoding <= 20 and len(primaries) == 4 and all(0 < y < 1 > x for x, y in primaries)
    corners = np.array(primaries[1:]) if is_sound else np.zeros((3, 2))
    if not is_sound or abs(np.linalg.det(np.c_[corners, np.ones(3)])) < 1e-4:
        return Claim(words, is_understood=False)
    return Claim(words, matrix_profile(primaries, curve))


def _png_chunk(data: bytes, kind: bytes) -> bytes | None:
    """The content of a PNG's chunk of that kind before its pixels, or None."""
    at = 8
    while at + 8 <= len(data):
        length, found = struct.unpack_from(">I4s", data, at)
        if found == kind:
            return data[at + 8 : at + 8 + length]
        if found == b"IDAT":
            return None
        at += 12 + length
    return None


def _by_profile(image: Image.Image, claim: Claim, notes: list[str]) -> Image.Image | None:
    """The picture converted, or None where the profile is broken or of another kind than the picture."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(claim.profile or b""))
        mode = _MODES.get(source.profile.xcolor_space.strip(), "")
        if image.mode == "L" and mode == "RGB":
            image = image.convert("RGB")
        if mode != image.mode or source.profile.device_class not in _DEVICES:
            return None
        if mode == "L":
            converted = _by_table(image, source)
        else:
            keeps = mode == "RGB" and _are_near(_converted(_probe(), source, _FINE_GRID), _probe())
            converted = image if keeps else _converted(image, source, _FINE_GRID)
    except (ImportError, OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    if converted is image:
        return image.convert("RGB")
    name = "".join(filter(str.isprintable, source.profile.profile_description or ""))[:_LONGEST_NAME].strip()
    notes.append(f"It was converted from its {claim.words}{f' ({name})' if name else ''} to sRGB.")
    return converted


def _by_table(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    """A grey picture converted by all of its 256 levels: littleCMS would take steps between a few of them."""
    greys = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = _converted(greys, source, _NO_GRID)
    if _are_near(table, greys.convert("RGB")):
        return image
    return Image.merge("RGB", [image.point(list(band.getdata())) for band in table.split()])


def _are_near(one: Image.Image, other: Image.Image) -> bool:
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max()) <= _SAME_WITHIN


@lru_cache(maxsize=1)
def _probe() -> Image.Image:
    """Colours from everywhere in the cube, and all greys: (1, 17³ + 256) pixels."""
    cube = np.stack(np.meshgrid(*[np.linspace(0, 255, 17)] * 3), -1).reshape(1, -1, 3)
    greys = np.repeat(np.arange(256)[None, :, None], 3, axis=2)
    return Image.fromarray(np.concatenate([np.round(cube), greys], axis=1).astype(np.uint8))


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile, flags: Any = 0) -> Image.Image:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.buildTransform(source, srgb, image.mode, "RGB", flags=flags).apply(image)
