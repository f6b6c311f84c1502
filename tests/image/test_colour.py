"""Colours are what a file's profile, chunks or EXIF data say, beside littleCMS and beside the formulas."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from lib_copier.image import colour
from lib_copier.image.colour import matrix_profile
from lib_copier.image.files import read_picture

D65 = (0.3127, 0.3290)
SRGB = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE = (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3 = (D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def ramps(mode: str = "RGB") -> Image.Image:
    """96x96 pixels from all over the colour space of a mode."""
    y, x = np.mgrid[0:96, 0:96]
    channels = [x * 255 // 95, y * 255 // 95, (x + y) * 255 // 190, (95 - x) * 255 // 95]
    count = len(Image.new(mode, (1, 1)).getbands())
    return Image.merge(mode, [Image.fromarray(channel.astype(np.uint8)) for channel in channels[:count]])


def saved(image: Image.Image, picture_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **options)
    return buffer.getvalue()


def in_srgb(image: Image.Image, primaries, decode) -> np.ndarray:
    """What the formulas say, (H, W, 3) in 0…255: linear light, primaries, clip, sRGB's curve."""

    def to_xyz(points) -> np.ndarray:
        xyz = np.array([(x / y, 1.0, (1.0 - x - y) / y) for x, y in points])
        return xyz[1:].T * np.linalg.solve(xyz[1:].T, xyz[0])

    light = decode(np.asarray(image) / 255.0) @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def difference(found: Image.Image, wanted) -> float:
    return float(np.abs(np.asarray(found, float) - np.asarray(wanted, float)).max())


def renamed(profile: bytes, name: str) -> bytes:
    """The profile with a description: what a person calls it."""
    text = name.encode("utf-16-be")
    content = struct.pack(">4s4xIIHHII", b"mluc", 1, 12, 0x656E, 0x5553, len(text), 28) + text
    count = struct.unpack_from(">I", profile, 128)[0]
    table = b"".join(
        struct.pack(">4sII", tag, at + 12, length)
        for tag, at, length in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    )
    table += struct.pack(">4sII", b"desc", len(profile) + 12, len(content))
    body = profile[128 + 4 + 12 * count :] + content
    whole = profile[4:128] + struct.pack(">I", count + 1) + table + body
    return struct.pack(">I", len(whole) + 4) + whole


def cmyk_profile() -> bytes:
    """A printer's LUT profile: two grid points an ink, paper white to black, in Lab (lut8Type)."""
    identity = bytes(range(256))
    clut = b""
    for corner in np.ndindex(2, 2, 2, 2):
        cyan, magenta, yellow, black = corner
        lightness = 100 * (1 - 0.3 * cyan) * (1 - 0.4 * magenta) * (1 - 0.1 * yellow) * (1 - 0.9 * black)
        a, b = 60 * magenta - 40 * cyan, 80 * yellow - 40 * cyan
        clut += bytes([round(lightness * 2.55), round(128 + a * (1 - black)), round(128 + b * (1 - black))])
    matrix = b"".join(struct.pack(">i", value) for value in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + clut + identity * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    start = 132 + 24
    table = struct.pack(">I", 2) + struct.pack(">4sII", b"wtpt", start, 20)
    table += struct.pack(">4sII", b"A2B0", start + 20, len(lut))
    body = white + lut
    head = struct.pack(">I4s4s4s4s4s", start + len(body), b"", b"\x02\x40\0\0", b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + white[8:]
    return head.ljust(128, b"\0") + table + body


MATRIX = {
    "linear, named sRGB": (SRGB, (1.0,), lambda v: v),
    "Adobe RGB": (ADOBE, (563 / 256,), lambda v: v ** (563 / 256)),
    "Display P3": (P3, SRGB_CURVE, lambda v: np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)),
    "gamma 1.8": (SRGB, (1.8,), lambda v: v**1.8),
}


@pytest.mark.parametrize("kind", MATRIX)
@pytest.mark.parametrize("name", ["sRGB IEC61966-2.1", "something else"])
def test_a_profile_does_what_it_holds_whatever_its_name(kind, name):
    primaries, curve, decode = MATRIX[kind]
    profile = renamed(matrix_profile(primaries, curve), name)
    opened = read_picture(saved(ramps(), icc_profile=profile))
    assert difference(opened.image, in_srgb(ramps(), primaries, decode)) <= 1.5  # 1 level, both rounded
    assert f"from its colour profile ({name}) to sRGB" in opened.notes[0]
    lcms = ImageCms.profileToProfile(ramps(), io.BytesIO(profile), ImageCms.createProfile("sRGB"))
    assert difference(opened.image, lcms) <= 1


@pytest.mark.parametrize("name", ["sRGB", "Linear"])
def test_a_profile_that_is_srgb_changes_no_bit(name):
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (own, renamed(matrix_profile(SRGB, SRGB_CURVE), name)):
        opened = read_picture(saved(ramps(), icc_profile=profile))
        assert opened.image.tobytes() == ramps().tobytes() and opened.notes == ()


def test_lut_profiles_of_inks_and_grey_profiles_are_converted():
    profile = cmyk_profile()
    for picture_format in ("TIFF", "JPEG"):
        options = {"quality": 100, "subsampling": 0} if picture_format == "JPEG" else {}
        data = saved(ramps("CMYK"), picture_format, icc_profile=profile, **options)
        given = Image.open(io.BytesIO(data))
        lcms = ImageCms.profileToProfile(
            given, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB", flags=0x0400
        )
        assert difference(read_picture(data).image, lcms) <= 1
        assert difference(read_picture(data).image, ramps("CMYK").convert("RGB")) > 20
    dark = saved(ramps("L"), icc_profile=_grey_profile(1.0))
    assert difference(read_picture(dark).image, in_srgb(ramps("L").convert("RGB"), SRGB, lambda v: v)) <= 1.5


def _grey_profile(gamma: float) -> bytes:
    curve = struct.pack(">4s4xHH", b"para", 0, 0) + struct.pack(">i", round(gamma * 65536))
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    start = 132 + 24
    table = struct.pack(">I", 2) + struct.pack(">4sII", b"wtpt", start, 20)
    table += struct.pack(">4sII", b"kTRC", start + 20, len(curve))
    body = white + curve
    head = struct.pack(">I4s4s4s4s4s", start + len(body), b"", b"\x04\x40\0\0", b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + white[8:]
    return head.ljust(128, b"\0") + table + body


def test_a_grey_picture_with_a_profile_of_colours_is_converted_too():
    opened = read_picture(saved(ramps("L"), icc_profile=matrix_profile(SRGB, (1.0,))))
    assert difference(opened.image, in_srgb(ramps("L").convert("RGB"), SRGB, lambda v: v)) <= 1.5


@pytest.mark.parametrize(
    "profile", [b"not a profile", matrix_profile(SRGB, (1.0,))[:200], cmyk_profile()], ids=len
)
def test_a_profile_that_cannot_be_used_is_told_and_ignored(profile):
    opened = read_picture(saved(ramps(), icc_profile=profile))
    assert opened.image.tobytes() == ramps().tobytes()
    assert opened.notes == ("Its colour profile could not be used and was ignored: colours may differ.",)


def test_transparent_parts_are_white_in_any_profile():
    picture = ramps()
    picture.putalpha(Image.new("L", picture.size, 0))
    opened = read_picture(saved(picture, icc_profile=matrix_profile(ADOBE, (563 / 256,))))
    assert opened.image.getextrema() == ((255, 255),) * 3


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(image: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    """The picture as a PNG with chunks behind its header."""
    data = saved(image)
    return data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:]


def numbers(*values: float) -> bytes:
    return struct.pack(f">{len(values)}I", *(round(value * 100000) for value in values))


LINEAR = (b"gAMA", numbers(1.0))
USUAL = (b"gAMA", struct.pack(">I", 45455))
WIDE = (b"cHRM", numbers(*(value for point in ADOBE for value in point)))
PLAIN = (b"sRGB", b"\0")
P3_POINTS = (b"cICP", bytes([12, 13, 0, 1]))
HDR = (b"cICP", bytes([9, 16, 0, 1]))
PROFILE = (b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(SRGB, (1.8,))))


def _srgb_decoded(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    ("chunks", "primaries", "decode"),
    [
        ((LINEAR,), SRGB, lambda v: v),
        ((USUAL, WIDE), ADOBE, _srgb_decoded),
        ((LINEAR, PLAIN), SRGB, _srgb_decoded),
        ((LINEAR, PLAIN, PROFILE), SRGB, lambda v: v**1.8),
        ((PROFILE, P3_POINTS), P3, _srgb_decoded),
        ((PROFILE, HDR), SRGB, lambda v: v**1.8),
    ],
    ids=["gAMA", "cHRM", "sRGB over gAMA", "iCCP over sRGB", "cICP over iCCP", "cICP not understood"],
)
def test_the_strongest_chunk_of_a_png_decides(chunks, primaries, decode):
    opened = read_picture(with_chunks(ramps(), *chunks))
    assert difference(opened.image, in_srgb(ramps(), primaries, decode)) <= 1.5
    assert any("cICP chunk could not" in note for note in opened.notes) is (HDR in chunks)


def test_the_usual_gamma_means_srgb():
    assert read_picture(with_chunks(ramps(), USUAL)).image.tobytes() == ramps().tobytes()


@pytest.mark.parametrize(
    "chunks",
    [((b"gAMA", numbers(0.0)),), ((b"cHRM", bytes(32)),), ((b"cHRM", numbers(0.3, 0.3)),)],
    ids=["no gamma", "no colours", "too short"],
)
def test_chunks_of_nonsense_are_told_and_ignored(chunks):
    opened = read_picture(with_chunks(ramps(), *chunks))
    assert opened.image.tobytes() == ramps().tobytes()
    assert "ignored" in opened.notes[0]


def test_adobe_rgb_by_exif_is_converted_and_broken_exif_is_no_fault():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    data = saved(ramps(), "JPEG", quality=100, subsampling=0, exif=exif)
    given = Image.open(io.BytesIO(data)).convert("RGB")
    wanted = in_srgb(given, ADOBE, lambda v: v ** (563 / 256))
    assert difference(read_picture(data).image, wanted) <= 1.5
    broken = saved(ramps(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read_picture(broken).image.tobytes() == ramps().tobytes()


def test_lab_pictures_are_converted():
    lab = ImageCms.profileToProfile(
        ramps(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    found = np.asarray(read_picture(saved(lab, "TIFF")).image, float)
    assert np.abs(found - np.asarray(ramps(), float)).mean() < 2


def test_the_words_of_a_profile_s_name_are_short_and_printable():
    profile = renamed(matrix_profile(SRGB, (1.0,)), "evil\n\x1b[31m" + "x" * 500)
    note = read_picture(saved(ramps(), icc_profile=profile)).notes[0]
    assert note.isprintable() and len(note) < 60 + colour._LONGEST_NAME
