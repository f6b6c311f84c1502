"""Small sound texts: recipes, records, jobs, prompts, and requests of a browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.fuzz_files import checkpoint, pictures, published


def peft_config() -> bytes:
    """PEFT's ``adapter_config.json``."""
    found = {"peft_type": "LORA", "r": 2, "lora_alpha": 16, "use_rslora": False, "use_dora": False}
    found |= {"alpha_pattern": {"attn1.to_q": 8}, "rank_pattern": {"^down_blocks.*": 2}, "bias": "none"}
    return json.dumps(found | {"target_modules": ["to_q"], "base_model_name_or_path": "a/b"}).encode()


def suggested() -> bytes:
    """What suits a checkpoint, as it lies beside it."""
    found = {"preset": "auto", "copier.rank": 8, "origin.prompt": "a house", "sweep.prompts": ["a", "b"]}
    return json.dumps(found | {"copier.learning_rate": 0.001, "origin.sampler": "Euler a"}).encode()


def recipe() -> bytes:
    """A recipe that uses every part of one: origins, edits with their own settings, lists, paths."""
    from lib_copier.recipe.document import to_document
    from lib_copier.recipe.model import Recipe
    from lib_copier.steps.change import changed

    values = {
        "project.name": "lines",
        "project.checkpoint": "/models/base.safetensors",
        "origins.first": True,
        "origins.first.prompt": "a (red:1.2) circle",
        "origins.second.source": "file",
        "origins.second.file": "pictures/a.png",
        "edits.thick.effects": "outline:strength=0.8+posterize",
        "edits.thick.files.second": "pictures/b.png",
        "edits.soft.effects": "blur",
        "base.loras": "loras/a.safetensors:0.5",
        "preset": "auto",
    }
    found = Recipe()
    for key, value in values.items():
        found = changed(found, key, value)
    return json.dumps(to_document(found), ensure_ascii=False).encode()


def records() -> list[bytes]:
    """A manifest, the note of a run, the digests of files, a step's failure."""
    output = {"size": 3, "sha256": "0" * 64}
    manifest = {
        "step": "origin/first",
        "key": "0",
        "made_at": 1.5,
        "seconds": 2.0,
        "files": {"picture.png": output},
        "result": {"notes": ["a"], "psnr_db": {"median": 20.0}},
        "inputs": {"checkpoint": "0" * 64},
        "params": {"seed": 1},
        "engine": "embedded",
    }
    running = {
        "runner": {"pid": 1, "started": 1.0},
        "run": "1",
        "token": "a",
        "steps": [{"step": "copier/first", "key": "0", "child": {"pid": 1, "started": 1.0}}],
    }
    digests = {"a.png": [1, 2, "0" * 64], "files": {"a.png": {"size": 1, "mtime_ns": 2, "sha256": "0" * 64}}}
    failure = {"what": "Out of memory.", "advice": "Lower it.", "argv": ["a"], "last_lines": ["b"], "at": 1.0}
    return [json.dumps(one).encode() for one in (manifest, running, digests, failure)]


def job() -> bytes:
    """A job of the queue."""
    found = {"id": "1", "key": "a", "title": "lines", "argv": ["-m", "lib_copier.steps", "/x"]}
    found_too = {"state": "running", "submitted_at": 1.0, "started_at": 2.0, "ended_at": None}
    last = {"returncode": None, "message": "", "process": {"pid": 1, "started": 1.0}}
    return json.dumps(found | found_too | last).encode()


def events() -> bytes:
    """Lines of a run."""
    lines = [
        {"event": "run-started", "time": 1.0, "steps": ["copier/first"]},
        {"event": "step-started", "step": "copier/first", "key": "0", "time": 2.0},
        {"event": "progress", "step_id": "copier/first", "step": 3, "total": 9, "loss": 0.1, "eta": 4.0},
        {"event": "log", "step": "copier/first", "text": "a"},
        {"event": "sample", "step": "copier/first", "path": "a.png"},
        {"event": "step-failed", "step": "copier/first", "what": "a", "advice": "b", "time": 4.0},
        {"event": "run-ended", "time": 5.0, "made": [], "seconds": {"copier/first": 1.5}},
    ]
    return "\n".join(map(json.dumps, lines)).encode() + b"\n"


def train_config() -> bytes:
    """A trainer's configuration; its files are this one."""
    found = {
        "checkpoint": __file__,
        "output": "/x/lora.safetensors",
        "work_dir": "/x",
        "pictures": [{"path": __file__, "caption": "a", "mask": None, "origin": __file__}],
        "base_loras": [{"path": __file__, "weight": 0.5}],
        "rank": 4,
        "alpha": 2.0,
        "conv_rank": None,
        "layers": ["attn"],
        "optimizer": "adamw",
        "optimizer_args": {"weight_decay": 0.1},
        "learning_rate": 0.001,
        "lr_scheduler": "cosine",
        "warmup_steps": 3,
        "steps": 10,
        "timestep_min": 0,
        "timestep_max": 900,
        "other_prompts": ["a", "b"],
        "seed": 3,
        "metadata": {"a": "b"},
    }
    return json.dumps(found).encode()


_CHAIN = [{"name": "outline", "strength": 0.5, "params": {"width": 3.0}}, {"name": "grain"}]


def measure_job() -> bytes:
    """A job of the measuring child; its files are this one."""
    found: dict[str, Any] = {"job": "sweep", "checkpoint": __file__, "lora": __file__, "weights": [-1, 0, 1]}
    found |= {"pairs": [{"origin": __file__, "edited": __file__}], "prompts": [{"prompt": "a", "seed": 1}]}
    found |= {"output": "/x", "sampling": {"width": 64, "steps": 3}, "base_loras": [{"path": __file__}]}
    return json.dumps(found | {"chain": _CHAIN}).encode()


def picture_job() -> bytes:
    """A job of the picture child."""
    return json.dumps({"job": "edit", "picture": "/x", "chain": _CHAIN, "output": "/x/a.png"}).encode()


def requests() -> bytes:
    """A list of picture requests."""
    loras = [f"{__file__}:0.5", {"path": __file__, "weight": 1.0, "te_weight": 0.5}]
    full = {"prompt": "a (b:1.2)", "negative_prompt": "c", "seed": 1, "width": 64, "height": 128, "steps": 3}
    full |= {"cfg_scale": 7.0, "clip_skip": 2, "sampler": "Euler a", "loras": loras}
    return json.dumps([full, {"prompt": ""}]).encode()


def read_requests(found: Any) -> None:
    """The requests of a list, checked together; anything but a list of objects is one bad request."""
    from lib_copier.txt2img.pictures import PictureRequest, check_requests

    values = found if isinstance(found, list) else [found]
    check_requests(
        [PictureRequest.from_mapping(one if isinstance(one, dict) else {"": one}) for one in values]
    )


def settings() -> list[bytes]:
    """Every option with a value that it takes or nearly takes, and names of origins, edits and effects."""
    from lib_copier.recipe.options import OPTIONS

    shown = {
        key: option.show(option.default) if hasattr(option, "show") else str(option.default)
        for key, option in OPTIONS.items()
    }
    found = [f"{key}={value}" for key, value in shown.items() if not key.startswith("origin.")]
    found += [
        "origins.second.prompt=a",
        "edits.thick.effects=outline:strength=0.8+flat",
        "preset=memo",
    ]
    found += ["check.prompts=a; b (c:1.2); d", 'check.prompts=["a", "b"]', "base.loras=a.safetensors:0.5"]
    return [text.encode() for text in found]


def prompts() -> list[bytes]:
    """Prompts as people write them, with infotext beneath."""
    return [
        b"a (red:1.5) cat, ((soft)), [dim] BREAK <lora:thick:0.5:1> \\(plain\\)",
        b"a [red:blue:0.5] (cat:1.2) AND [old|new] hat",
        b"a house\nNegative prompt: b\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, "
        b'Lora hashes: "a: 0123456789ab", Model: x',
    ]


def read_prompt(text: str) -> None:
    """All that is read from a prompt: phrases, tags, faults, a caption, infotext."""
    from lib_copier.txt2img import infotext, prompt

    prompt.parse_prompt(text)
    prompt.networks(text)
    list(prompt.faults(text))
    prompt.caption_of(text)
    infotext.read_infotext(text)


def tags() -> bytes:
    """A tagger's list of tags."""
    return "tag_id,name,category,count\n1,a_b,0,9\n2,名前,4,3\n".encode()


def make_door(data: Path, pristine: Path) -> Any:
    """A page over `data` with one project, which is kept in `pristine`; jobs are queued and never run."""
    from lib_copier.host.standalone import StandaloneHost
    from lib_copier.ui.door import Door
    from lib_copier.ui.picture import PictureRoutes

    models = data / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "base.safetensors").write_bytes(checkpoint())
    door = Door(StandaloneHost(data, [models], data / "loras"), PictureRoutes("./file/", data))
    # Of this page's queue alone: others in the process are worked off.
    mock.patch.object(door.wizard().workshop.queue, "ensure_worker", lambda: None).start()
    values = {"name": "lines", "checkpoint": str(models / "base.safetensors"), "effect": "outline"}
    values |= {"preset": "auto", "prompt": "a red circle", "method": "copier"}
    door.answer(json.dumps({"act": "create_project", "view": {}, "values": values}))
    (data / "projects").replace(pristine)
    (data / "projects").mkdir()
    return door


def page_requests() -> list[bytes]:
    """A request for every act that starts nothing by itself, with what its form sends."""
    view = {"project": "lines", "panel": "edit", "origin": "first", "edit": "outline", "link": 0}
    picture = {"name": "a.png", "data": base64.b64encode(pictures()[3]).decode()}
    lora = {"name": "a.safetensors", "data": base64.b64encode(published(recipe())).decode()}
    effect = {"strength": 0.5, "param.width": 3, "param.darkness": 0.5, "param.sensitivity": 0.5}
    form = {
        "name": "second",
        "checkpoint": "",
        "effect": "flat",
        "preset": "memo",
        "prompt": "a",
        "method": "copier",
    }
    acts: list[dict[str, Any]] = [
        *(
            {"act": "go", "view": view | {"panel": panel}}
            for panel in ("project", "origin", "edit", "copier")
        ),
        *(
            {"act": "go", "view": view | {"panel": panel}}
            for panel in ("check", "combine", "preview", "publish")
        ),
        {"act": "poll", "have": "0"},
        {"act": "create_project", "values": form},
        {"act": "open_project", "value": "lines"},
        {"act": "duplicate_project", "values": {"name": "third"}},
        {"act": "project_from_lora", "file": lora, "values": {"name": "fourth", "checkpoint": ""}},
        {"act": "prune", "value": "lines"},
        {"act": "set", "key": "copier.rank", "value": "8"},
        {"act": "set", "key": "check.prompts", "value": "a\nb"},
        {"act": "unset", "key": "copier.rank"},
        {"act": "add_origin"},
        {"act": "remove_origin"},
        {"act": "upload_origin", "file": picture},
        {"act": "caption", "captioner": "x"},
        {"act": "add_edit"},
        {"act": "rename_edit", "values": {"name": "thick"}},
        {"act": "add_effect", "value": "flat"},
        {"act": "remove_effect"},
        {"act": "try_effect", "values": effect},
        {"act": "set_effect", "values": effect},
        {"act": "upload_edit", "file": picture},
        {"act": "run_all"},
        {"act": "rerun", "value": "copier/first", "step": "copier/first"},
        {"act": "by_hand", "value": "copier/first", "step": "copier/first"},
        {"act": "cancel_job", "value": "1", "job": "1"},
        {"act": "train_longer", "value": "100"},
    ]
    return [json.dumps({"view": view, **one}, ensure_ascii=False).encode() for one in acts]
