"""Pictures: addresses, the compare handle and the strips that a slider scrubs."""

from __future__ import annotations

from pathlib import Path

from lib_copier.ui.picture import PictureRoutes, Strip, compare, scrub
from tests.ui.page_reader import read


def test_addresses_are_quoted_and_change_with_the_file(tmp_path: Path):
    path = tmp_path / "a b#?線.png"
    path.write_bytes(b"1")
    url = PictureRoutes("./file=").url(path)
    assert "#" not in url
    assert " " not in url
    assert url.count("?") == 1
    import os

    os.utime(path, ns=(10**18, 10**18))
    assert PictureRoutes("./file=").url(path) != url


def test_scrub_shows_the_picture_nearest_to_the_start():
    weights = [-1.0, 0.0, 1.0]
    html = scrub([Strip("p", ("a", "b", "c"))], weights, name="n", label="l", start=0.9)
    images = [found for name, found in read(html).tags if name == "img"]
    assert [image["src"] for image in images if "hidden" not in image] == ["c"]
    slider = next(found for _, found in read(html).tags if "data-scrub" in found)
    assert slider["data-scrub"] == "-1 0 1"
    assert slider["value"] == "2"


def test_compare_has_a_slider_for_hands_and_keys():
    reader = read(compare("a", "b", "before", "after", name="n", label="l"))
    assert {found["src"] for name, found in reader.tags if name == "img"} == {"a", "b"}
    assert any(found.get("type") == "range" and found.get("aria-label") == "l" for _, found in reader.tags)
