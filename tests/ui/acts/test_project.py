"""Projects that are made, opened and brought back from a LoRA."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from tests.ui.conftest import jobs


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
