"""What people do on the page, and what becomes of it in the project."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from lib_copier.image.effects import EFFECTS
from lib_copier.recipe.model import Effect, Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.ui.form import field
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import PANELS, View
from tests.ui.conftest import make_project
from tests.ui.page_reader import read


@pytest.fixture
def recipe(door, view):
    """The project's recipe as it is on disk now."""

    def read_it(name: str = "lines") -> Recipe:
        desk = door.wizard().workshop.desk(name)
        assert desk is not None
        return desk.recipe

    return read_it


def jobs(door):
    return door.wizard().workshop.queue.jobs()


def test_the_form_makes_a_project_that_can_run(ask, door, view, recipe, checkpoint):
    assert view["panel"] == "origin"
    made = recipe()
    assert made.checkpoint == str(checkpoint)
    assert [edit.name for edit in made.edits] == ["outline"]
    assert made.origins[0].get("prompt") == "a red circle"
    answer = ask("run_all", view)
    assert answer["notice"] is None
    assert answer["active"]
    assert len(jobs(door)) == 1


def test_a_command_is_laid_out_only_for_a_known_step(ask, view):
    answer = ask("by_hand", {**view, "panel": "copier"}, step="../../etc")
    assert answer["notice"]["kind"] == "error" and "no such step" in answer["notice"]["text"]
    answer = ask("by_hand", {**view, "panel": "copier"}, step="copier/first")
    assert "not known yet" in answer["notice"]["text"], "its origin is not made"


def test_two_clicks_on_run_are_one_job(ask, door, view):
    for _ in range(2):
        ask("run", {**view, "panel": "copier"})
    assert len(jobs(door)) == 1
    assert jobs(door)[0].argv[-2:] == ("--until", "copier/first")
    ask("cancel_job", view, job=jobs(door)[0].id)
    assert door.wizard().workshop.queue.control(jobs(door)[0].id).exists()


def test_an_incomplete_project_says_what_is_missing(ask, door, view):
    ask("remove_edit", view)
    answer = ask("run_all", view)
    assert "no edit" in answer["notice"]["text"]
    assert jobs(door) == ()


def test_a_panel_runs_all_its_steps_of_the_shown_origin(ask, door, view):
    second = ask("add_origin", {**view, "panel": "origin"})["view"]
    ask("run", second)
    assert jobs(door)[0].argv[-4:] == ("--until", "origin/origin-2", "--until", "caption/origin-2")
    assert ask("run", {**view, "panel": "jobs"})["notice"]["kind"] == "error"


def test_running_again_forces_the_panels_steps(ask, door, view):
    ask("rerun", {**view, "panel": "check"})
    assert jobs(door)[0].argv[-4:] == ("--until", "check/first", "--force", "check/first")


@pytest.mark.parametrize(
    "key", [key for key, one in OPTIONS.items() if one.kind in {"int", "float"} and not one.optional]
)
def test_every_number_can_be_set_where_it_belongs(ask, view, recipe, key):
    option = OPTIONS[key]
    low = 0 if option.minimum is None else option.minimum
    high = 100 if option.maximum is None else option.maximum
    value = int(low) + 1 if option.kind == "int" else (low + high) / 2
    answer = ask("set", view, key=key, target=option.scope, value=option.text(value))
    assert answer["notice"] is None
    stored = recipe()
    got = {
        "recipe": lambda: stored.get(key),
        "origin": lambda: stored.origins[0].get(option.name),
        "edit": lambda: dict(stored.edits[0].settings)[key],
    }[option.scope]()
    assert got == pytest.approx(value)


def test_a_value_out_of_range_is_refused_and_the_field_reset(ask, view, recipe):
    answer = ask("set", view, key="copier.rank", target="recipe", value="0")
    assert answer["notice"]["kind"] == "error"
    assert "Copier LoRA › Rank (dim)" in answer["notice"]["text"]
    assert answer["reset"]
    assert recipe().get("copier.rank") == 32


def test_an_edits_own_value_and_back(ask, view, recipe):
    ask("set", view, key="resize.rank", target="edit", value="4")
    assert recipe().get("resize.rank", recipe().edits[0]) == 4
    assert recipe().get("resize.rank") == 8
    ask("unset", view, key="resize.rank")
    assert recipe().get("resize.rank", recipe().edits[0]) == 8


def test_presets_and_methods_are_cards(ask, view, recipe):
    ask("set", view, key="preset", target="recipe", value="memo")
    assert recipe().get("copier.steps") == 3072
    ask("set", view, key="project.method", target="recipe", value="difference")
    assert recipe().method == "difference"
    html = ask("go", {**view, "panel": "combine"})["html"]["panel"]
    assert 'data-set="difference.sign"' in html


def test_origins_come_and_go(ask, view, recipe):
    second = ask("add_origin", {**view, "panel": "origin"})["view"]
    assert second["origin"] == "origin-2"
    assert recipe().origins[1].get("seed") != recipe().origins[0].get("seed")
    ask("set", second, key="origin.seed", target="origin", value="77")
    assert [origin.get("seed") for origin in recipe().origins][1] == 77
    ask("remove_origin", second)
    assert [origin.name for origin in recipe().origins] == ["first"]


def test_an_uploaded_origin_is_cropped_and_kept_in_the_project(ask, view, recipe, png, door):
    answer = ask(
        "upload_origin", view, file={"name": "..\\..\\x.png", "data": base64.b64encode(png).decode()}
    )
    assert answer["notice"]["kind"] == "ok"
    origin = recipe().origins[0]
    assert origin.get("source") == "file"
    path = door.wizard().workshop.desk("lines").inside(str(origin.get("file")))
    assert path is not None
    assert path.is_file()


def test_an_uploaded_edited_picture_of_another_size_is_refused_and_not_kept(ask, view, recipe, png, door):
    upload = {"name": "x.png", "data": base64.b64encode(png).decode()}
    answer = ask("upload_edit", view, file=upload)
    assert answer["notice"]["kind"] == "error"
    assert "128x96, its origin 512x512" in answer["notice"]["text"]
    assert recipe().edits[0].files == ()
    assert not list(door.wizard().workshop.folder_of("lines").rglob("uploads/*.png"))
    ask("upload_origin", view, file=upload)
    assert ask("upload_edit", view, file=upload)["notice"]["kind"] == "ok"
    assert recipe().edits[0].files


def test_edits_are_renamed_and_removed(ask, view, recipe):
    second = ask("add_edit", {**view, "panel": "edit"})["view"]
    renamed = ask("rename_edit", second, values={"name": "soft"})["view"]
    assert renamed["edit"] == "soft"
    assert [edit.name for edit in recipe().edits] == ["outline", "soft"]
    assert ask("rename_edit", renamed, values={"name": "outline"})["notice"]["kind"] == "error"
    ask("remove_edit", renamed)
    assert [edit.name for edit in recipe().edits] == ["outline"]


def test_effects_are_chained_tried_and_stored(ask, view, recipe):
    place = {**view, "panel": "edit"}
    chained = ask("add_effect", place, value="grain")["view"]
    assert chained["link"] == 1
    tried = {"strength": "0.5", "param.amount": "0.1", "param.size": "1"}
    answer = ask("try_effect", chained, values=tried)
    assert 'value="0.5"' in answer["html"]["panel"]
    assert recipe().edits[0].effects[1].strength == 1.0
    ask("set_effect", chained, values=tried)
    assert recipe().edits[0].effects[1].strength == 0.5
    assert dict(recipe().edits[0].effects[1].params)["amount"] == 0.1
    for junk in ({}, {"strength": "nan"}, {**tried, "strength": "99"}):
        assert ask("set_effect", chained, values=junk)["notice"]["kind"] == "error"
    ask("remove_effect", chained)
    assert [effect.name for effect in recipe().edits[0].effects] == ["outline"]


def test_a_negative_parameter_and_a_hidden_one_survive(ask, view, recipe):
    place = ask("add_effect", {**view, "panel": "edit"}, value="grain")["view"]
    ask("set_effect", place, values={"strength": "1", "param.amount": "0.2", "param.size": "2"})
    assert "param.seed" not in ask("go", place)["html"]["panel"]
    assert (
        ask("set_effect", place, values={"strength": "1", "param.amount": "0.3", "param.size": "2"})["notice"]
        is None
    )


def sliders(html):
    """Every slider of the effect by its name, with what a browser reads."""
    tags = [found for name, found in read(html).tags if name == "input"]
    return {found["name"]: found for found in tags if found["type"] == "range" and "name" in found}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_slider_moves_itself_alone_and_back(ask, checkpoint, door, name):
    """Each slider's value as the page holds it, sent as the page sends it: there, and back again."""
    place = {**make_project(ask, checkpoint, effect="own")["view"], "panel": "edit"}
    place["link"] = ask("add_effect", place, value=name)["view"]["link"]

    def look():
        project = door.wizard().workshop.desk("lines").project
        (effect,) = project.recipe.edits[0].effects
        return effect, [(step.id, step.params) for step in project.plan()]

    before, known = look(), EFFECTS[name]
    drawn = sliders(ask("go", place)["html"]["panel"])
    for key, found in drawn.items():
        grid = (float(found["value"]) - float(found["min"])) / float(found["step"])
        assert grid == pytest.approx(round(grid), abs=1e-9), "a browser would round it"
        for value in (found["max"], found["value"]):
            assert ask("set_effect", place, values={key: value})["notice"] is None
            others = {
                k: f["value"] for k, f in sliders(ask("go", place)["html"]["panel"]).items() if k != key
            }
            assert others == {k: f["value"] for k, f in drawn.items() if k != key}
        assert look() == before
    assert {key.removeprefix("param."): float(found["value"]) for key, found in drawn.items()} == {
        "strength": 1.0,
        **{key: value for key, value in known.values({}).items() if key != "seed"},
    }


def test_a_value_between_a_sliders_points_is_drawn_and_kept(ask, view, recipe, door):
    door.wizard().workshop.desk("lines").project.set({"edits.outline.effects": "outline:width=4.9137"})
    place = {**view, "panel": "edit"}
    assert sliders(ask("go", place)["html"]["panel"])["param.width"]["value"] == "4.9137"
    ask("set_effect", place, values={"strength": "1.3"})
    assert recipe().edits[0].effects == (Effect("outline", 1.3, (("width", 4.9137),)),)


def test_two_sliders_of_one_effect_moved_at_once_are_both_kept(door, view, recipe):
    """Each request was drawn from the same chain; neither takes the other back."""
    from concurrent.futures import ThreadPoolExecutor

    wanted = {"strength": "1.5", "param.width": "9", "param.darkness": "0.5", "param.sensitivity": "0.2"}

    def move(item):
        request = {"act": "set_effect", "view": {**view, "panel": "edit"}, "values": dict([item])}
        return json.loads(door.answer(json.dumps(request)))["notice"]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(move, wanted.items())) == {None}
    params = (("darkness", 0.5), ("sensitivity", 0.2), ("width", 9.0))
    assert recipe().edits[0].effects == (Effect("outline", 1.5, params),)


def as_the_page_sends(option, value):
    """A value through the field's HTML into what the page's script sends of it."""
    reader = read(field(option, value, Texts("en"), target=option.scope))
    (found,) = [found for _, found in reader.tags if "data-set" in found]
    return "checked" in found if found["type"] == "checkbox" else found["value"]


@pytest.mark.parametrize(
    "key", [key for key, option in OPTIONS.items() if option.kind in {"int", "float", "bool"}]
)
def test_every_value_goes_through_the_form_unchanged_and_back_is_up_to_date(ask, view, door, key):
    option, place = OPTIONS[key], {**view, "panel": OPTIONS[key].group}

    def look():
        page = door.wizard().page(View(**place))
        return [(step.id, step.params) for step in page.opened.project.plan()], page.value(option)

    def send(value):
        return ask("set", place, key=key, target=option.scope, value=value)["notice"]

    before = look()
    was = before[1]
    assert send(as_the_page_sends(option, was)) is None and look() == before
    ends = (not was,) if option.kind == "bool" else (option.minimum, option.maximum, 7)
    other = next(one for one in ends if one is not None and one != was)
    assert send(as_the_page_sends(option, other)) is None
    assert look()[1] == other
    assert send(as_the_page_sends(option, was)) is None and look() == before


def test_a_project_is_duplicated_and_opened(ask, view, door):
    answer = ask("duplicate_project", view, values={"name": "copy"})
    assert answer["view"]["project"] == "copy"
    assert ask("open_project", name="lines")["view"]["project"] == "lines"
    assert ask("close_project", view)["view"]["project"] == ""
    assert {entry.name for entry in door.wizard().workshop.entries()} == {"lines", "copy"}


def test_a_lora_brings_its_recipe_back(ask, view, recipe, tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    from lib_copier.recipe.document import shareable
    from lib_copier.steps.publish import RECIPE_KEY

    ask("set", view, key="copier.rank", target="recipe", value="12")
    path = tmp_path / "made.safetensors"
    tensors = {"lora_unet_x.lora_down.weight": np.zeros((4, 1000), np.float16)}
    save_file(tensors, path, {RECIPE_KEY: json.dumps(shareable(recipe()))})
    whole = path.read_bytes()
    head = base64.b64encode(whole[: len(whole) // 2]).decode()
    answer = ask("project_from_lora", file={"name": "made.safetensors", "data": head}, size=len(whole))
    assert answer["notice"]["kind"] == "ok"
    assert recipe(answer["view"]["project"]).get("copier.rank") == 12
    broken = ask("project_from_lora", file={"name": "x", "data": head}, size=3)
    assert broken["notice"]["kind"] == "error"


def test_a_foreign_lora_brings_no_path_in_and_says_so(ask, view, recipe, tmp_path, door, host):
    """Whoever sends a LoRA chooses its recipe: nothing in it may name a file or folder of this machine."""
    import numpy as np
    from safetensors.numpy import save_file

    from lib_copier.recipe.document import to_document
    from lib_copier.recipe.model import Edit
    from lib_copier.steps.publish import RECIPE_KEY

    hostile = recipe().with_settings({"project.vae": "/etc/passwd", "publish.folder": str(tmp_path)})
    hostile = hostile.with_settings({"base.loras": ("../../secret.safetensors:1",), "base.folder": ".."})
    hostile = hostile.with_edit(Edit("mine", files=(("first", "/etc/hostname"),)))
    path = tmp_path / "foreign.safetensors"
    save_file(
        {"lora_unet_x.lora_down.weight": np.zeros((4, 8), np.float16)},
        path,
        {RECIPE_KEY: json.dumps(to_document(hostile))},
    )
    file = {"name": "foreign.safetensors", "data": base64.b64encode(path.read_bytes()).decode()}
    door.host.info = replace(door.host.info, may_choose_paths=False)
    answer = ask("project_from_lora", file=file, size=path.stat().st_size)
    assert answer["notice"]["kind"] == "ok" and answer["view"]["project"] == "foreign"
    for named in (
        "Project › VAE: passwd",
        "Publish › Lora folder",
        "Style LoRAs: secret",
        "Project › Folder of pictures",
        "for first: hostname",
    ):
        assert named in answer["notice"]["text"]
    stored = (host.data_dir() / "projects" / "foreign" / "project.json").read_text(encoding="utf-8")
    assert not any(text in stored for text in ("/etc", "secret", '".."', json.dumps(str(tmp_path))))


def test_no_optimiser_comes_from_a_page_or_a_lora(ask, view, recipe, tmp_path, door):
    import numpy as np
    from safetensors.numpy import save_file

    from lib_copier.recipe.document import shareable
    from lib_copier.steps.publish import RECIPE_KEY

    hostile = "transformers.pipeline"
    answer = ask("set", view, key="copier.optimizer", target="recipe", value=hostile)
    assert answer["notice"]["kind"] == "error" and "Optimiser is one of adamw" in answer["notice"]["text"]
    assert recipe().get("copier.optimizer") == "adamw"
    document = shareable(recipe())
    document["copier"] |= {"optimizer": hostile, "optimizer_args": ["trust_remote_code=True"]}
    path = tmp_path / "slider.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, path, {RECIPE_KEY: json.dumps(document)})
    head = base64.b64encode(path.read_bytes()).decode()
    given = {"name": "slider.safetensors", "data": head}
    answer = ask("project_from_lora", file=given, size=path.stat().st_size)
    assert answer["notice"]["kind"] == "error" and hostile in answer["notice"]["text"]
    assert not jobs(door)


def test_the_lora_folder_is_the_hosts_own(ask, view, recipe, host):
    ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert recipe().get("publish.folder") == str(host.lora_dirs()[0])
    ask("set", view, key="publish.folder", target="lora_folder", value=False)
    assert recipe().get("publish.folder") == ""


def test_a_slider_made_in_a_webui_goes_into_its_lora_folder(ask, host, checkpoint, recipe, monkeypatch):
    (host.lora_dirs()[0]).mkdir(parents=True, exist_ok=True)
    (host.lora_dirs()[0] / "mine-outline.safetensors").write_bytes(b"")
    monkeypatch.setattr(host, "info", replace(host.info, is_webui=True))
    make_project(ask, checkpoint, name="mine")
    assert recipe("mine").get("publish.folder") == str(host.lora_dirs()[0])
    assert recipe("mine").get("publish.name", recipe("mine").edits[0]) == "mine-outline-2"


def test_what_is_published_is_listed_by_the_host_before_the_page_says_so(ask, view, host, monkeypatch):
    """Wherever the browser stands when it happens; a host that fails at it takes nothing from the page."""
    told: list[str] = []

    def listed(stem: str) -> None:
        told.append(stem)
        raise RuntimeError("of another extension")

    monkeypatch.setattr(host, "list_lora", listed)
    ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert told == [], "there is no file yet"
    (host.lora_dirs()[0] / "lines-outline.safetensors").write_bytes(b"x")
    answer = ask("poll", {**view, "panel": "jobs"})
    assert told == ["lines-outline"]
    assert answer["notice"] is None


def test_a_name_that_another_lora_has_is_not_taken(ask, view, recipe, host):
    folder = host.lora_dirs()[0] / "others"
    folder.mkdir(parents=True)
    (folder / "Lines-outline.safetensors").write_bytes(b"")
    answer = ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert answer["notice"] is None
    assert recipe().get("publish.name", recipe().edits[0]) == "lines-outline-2"


@pytest.mark.parametrize(
    ("way", "key", "until"),
    [("longer", "copier.steps", True), ("change", "copier.rank", True), ("accept", "", False)],
)
def test_each_way_on_from_a_missed_goal_is_remembered_and_runs(
    ask, view, recipe, door, miss, way, key, until
):
    ask("set", view, key="copier.rank", target="recipe", value="2")
    miss("check/first", psnr_db={"min": 9.0, "ceiling": 30.0})
    before = recipe()
    answer = ask("go_on", {**view, "panel": "check"}, step="check/first", way=way)
    assert answer["notice"]["kind"] == "ok"
    assert recipe().origins[0].get("accept_copier") is (way == "accept")
    if key:
        assert recipe().number(key) > before.number(key)
    assert (jobs(door)[0].argv[-2:] == ("--until", "check/first")) is until


@pytest.mark.parametrize(
    ("step", "way"), [("check/first", "longer"), ("copier/first", "accept"), ("../x", "accept"), ("", "")]
)
def test_there_is_no_way_on_where_nothing_is_missed(ask, view, recipe, door, step, way):
    before = recipe()
    answer = ask("go_on", view, step=step, way=way)
    assert answer["notice"]["kind"] == "error" and recipe() == before and jobs(door) == ()


@pytest.mark.parametrize("method", ["copier", "difference"])
@pytest.mark.parametrize("effect", ["outline", "own"])
def test_every_panel_is_drawn_for_every_kind_of_project(ask, checkpoint, method, effect):
    view = make_project(ask, checkpoint, name="any", method=method, effect=effect)["view"]
    ask("add_origin", view)
    for panel in PANELS:
        html = ask("go", {**view, "panel": panel})["html"]
        current = [found for _, found in read(html["rail"]).tags if "aria-current" in found]
        assert [found["data-go-panel"] for found in current] == [panel]
        assert "<h2>" in html["panel"]
        assert "could not be drawn" not in html["panel"]
