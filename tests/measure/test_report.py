"""The report is one sound page with everything in it, and JSON with the keys outsiders read."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lib_copier.errors import FaultsError
from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.image.files import write_png
from lib_copier.measure.copier_check import check_copier
from lib_copier.measure.direction import Edit
from lib_copier.measure.report_charts import Curve, effect_chart
from lib_copier.measure.report_page import write_report
from lib_copier.measure.sweep import sweep
from lib_copier.txt2img.pictures import PictureRequest

VOID = {"meta", "img", "input", "br", "path", "circle", "polyline", "link", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order; collects what matters here."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.images_without_alt = 0
        self.text = ""

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.sources += [found["src"]] if "src" in found else []
        self.images_without_alt += tag == "img" and "alt" not in found
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def save(folder, result):
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


@pytest.fixture(scope="module")
def job(scene, known_maker, tmp_path_factory):
    """A finished run with two methods, a control and unfriendly names."""
    root = tmp_path_factory.mktemp("run")
    origin, hostile = scene(99), 'a "red" <script>alert(1)</script> & circle'
    write_png(origin, root / "origin.png")
    requests = [PictureRequest(hostile, seed=seed) for seed in range(3)]
    chain = (EffectUse("contrast", 1.0, {"amount": 0.3}),)
    edited = apply_chain(origin, chain)
    write_png(edited, root / "edited.png")
    quiet = {"progress": lambda done, total: None, "requests": requests}

    def swept(name, **known):
        folder = root / name
        maker = known_maker(scene, chain, edited, **known)
        edit = Edit(chain, ((origin, edited),))
        result = sweep(maker, lora=root / "x", weights=[-1, -0.5, 0, 0.5], edit=edit, output=folder, **quiet)
        save(folder, result)
        return str(folder)

    check = check_copier(
        known_maker(lambda seed: origin),
        origin=origin,
        round_trip=origin,
        output=root / "check",
        **quiet,
    )
    save(root / "check", check)
    common = {"name": "contrast", "label": "High <contrast>", "edited": str(root / "edited.png")}
    control = swept("control", leak=0.5)
    return {
        "job": "report",
        "output": str(root / "out"),
        "title": "Demo <&> report",
        "origin": {"picture": str(root / "origin.png"), "prompt": hostile, "seed": 1},
        "copier": {"check": str(root / "check"), "seconds": 41.0, "steps": 900, "below": ["it is far"]},
        "edits": [
            {
                **common,
                "method": "A",
                "sweep": swept("a"),
                "control": control,
                "lora": str(root / "out" / "loras" / "contrast.safetensors"),
                "score": "usable",
                "survival": {"share": 0.9, "sentence": "The VAE keeps 90% of this edit."},
            },
            {
                **common,
                "method": "B",
                "sweep": swept("b", gain=0.7),
                "lora": "b.safetensors",
                "below": ["weight 1 gives 0.70 of the edit, 0.90 wanted"],
                "calibration": {
                    "gain": 1.3,
                    "bound": "beyond it more than 0.05 leaks",
                    "strength": 0.7,
                    "leak": 0.04,
                    "looks": [],
                },
            },
        ],
        "seconds": {"total": 640.0, "by_step": {"copier": 41.0, "edit_lora/contrast": 65.5}},
        "checkpoint": {"sha256": "ab" * 32, "name": "demo"},
        "notes": ["Nothing <unusual>."],
    }


@pytest.fixture(scope="module")
def html(job):
    return (lambda result: open(result["html"], encoding="utf-8").read())(write_report(job))  # noqa: PTH123, SIM115


def test_page_is_sound_and_holds_everything(html, job):
    page = Page()
    page.feed(html)
    assert page.open == [] and page.images_without_alt == 0
    assert page.sources and all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    for banned in ("http://", "https://", "url(", "@import", job["output"]):
        assert banned not in html
    # Two strips and a control row, each with the edit itself as last column; origin, prints, edits.
    assert len(page.sources) > 2 * 3 * 6 + 6
    assert "max-width" in html and "prefers-color-scheme: dark" in html


def test_what_people_typed_is_text(html):
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "High &lt;contrast&gt;" in html and "Nothing &lt;unusual&gt;." in html
    page = Page()
    page.feed(html)
    assert "Demo <&> report" in page.text and "The VAE keeps 90% of this edit." in page.text
    assert "10 min 40 s" in page.text and "Below its goal: it is far." in page.text
    assert page.text.count("Gain 1.30, so that weight 1 gives the edit: beyond it more than") == 1
    assert page.text.count("Below its goal: weight 1 gives 0.70 of the edit, 0.90 wanted.") == 1


def test_json_has_the_keys_that_outsiders_read(job):
    numbers = write_report(job)["report"]
    with open(job["output"] + "/report.json", encoding="utf-8") as stream:  # noqa: PTH123
        assert json.load(stream) == numbers
    assert set(numbers["copier"]) == {"psnr_db", "ssim", "seconds", "steps", "below"}
    assert set(numbers["copier"]["psnr_db"]) == {"median", "min", "ceiling"}
    first = numbers["methods"]["A"]["contrast"]
    needed = {"rank_correlation", "strength", "leak", "control_leak", "sign", "weights", "effect", "lora"}
    assert needed <= set(first)
    assert first["weights"] == [-1, -0.5, 0, 0.5, 1] and len(first["effect"]) == 5
    assert first["lora"] == "loras/contrast.safetensors"
    assert first["control_leak"] == pytest.approx(0.5, abs=0.05) and abs(first["leak"]) < 0.02
    assert first["fidelity"] > 0.99 and first["rest"] < 0.5 and first["floors"]["random"] is None
    assert first["score"] == "usable"
    weaker = numbers["methods"]["B"]["contrast"]
    assert weaker["fidelity"] > 0.99 and weaker["rest"] > 3.0
    assert weaker["strength"] == pytest.approx(0.7, abs=0.03)
    assert first["calibration"] is None
    assert numbers["methods"]["B"]["contrast"]["calibration"]["gain"] == 1.3
    assert first["below"] == [] and len(weaker["below"]) == 1
    assert numbers["seconds"]["total"] == 640.0 and numbers["checkpoint"]["sha256"] == "ab" * 32
    assert numbers["pairs"] == 3


def test_the_pictures_with_the_largest_side_effects_come_first(job, tmp_path):
    first, *others = job["edits"]
    folder = Path(first["sweep"])
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for number, prompt in enumerate(result["prompts"]):
        prompt["prompt"] = f"picture {number}"
    result["worst_first"] = [2, 0, 1]
    save(shutil.copytree(folder, tmp_path / "sweep"), result)
    edits = [{**first, "sweep": str(tmp_path / "sweep")}, *others]
    report = write_report({**job, "output": str(tmp_path / "out"), "edits": edits})
    text = Path(report["html"]).read_text("utf-8")
    places = [text.index(f'<tr title="picture {number}"') for number in (2, 0, 1)]
    assert places == sorted(places)


def test_a_sweep_of_an_earlier_version_has_no_side_effects_to_tell(job, tmp_path):
    folder = Path(job["edits"][1]["sweep"])
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    told = ("fidelity", "rest", "floors", "structure", "worst_first")
    kept = {name: value for name, value in result.items() if not name.startswith(told)}
    kept["per_picture"] = {name: rows for name, rows in result["per_picture"].items() if name not in told}
    save(shutil.copytree(folder, tmp_path / "sweep"), kept)
    edits = [{"method": "A", "name": "contrast", "sweep": str(tmp_path / "sweep")}]
    found = write_report({"output": str(tmp_path / "out"), "edits": edits})
    assert found["report"]["methods"]["A"]["contrast"]["fidelity"] is None
    Page().feed(Path(found["html"]).read_text("utf-8"))


def test_a_report_of_little(job, tmp_path):
    bare = {key: job["edits"][1][key] for key in ("method", "name", "sweep")}
    result = write_report({"output": str(tmp_path), "edits": [bare]})
    assert result["report"]["copier"] is None
    Page().feed((tmp_path / "report.html").read_text(encoding="utf-8"))
    empty = write_report({"output": str(tmp_path), "edits": []})
    assert empty["report"]["pairs"] == 0 and empty["report"]["methods"] == {}


def test_everything_missing_is_named(job, tmp_path):
    broken = {**job, "origin": {"picture": str(tmp_path / "no.png")}}
    broken["edits"] = [{**job["edits"][0], "sweep": str(tmp_path / "a"), "edited": str(tmp_path / "e.png")}]
    with pytest.raises(FaultsError) as raised:
        write_report(broken)
    assert len(raised.value.faults) == 3


def test_chart_survives_odd_numbers():
    chart = effect_chart([Curve("x", "a", [0.0], [0.0]), Curve("y", "each", [0.0, 1.0], [1e9, -1e9])], "d")
    assert chart.startswith("<svg") and "nan" not in chart and len(chart) < 5000
