"""Small sound inputs of every kind, made in code."""

from __future__ import annotations

import io
import json
import re
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.shapes import Sizes, checkpoint_shapes
from lib_copier.families import SD1

_LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
_DIFFUSERS = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


def _safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file; the package's own writer puts the metadata in another order each time."""
    names = {"float32": "F32", "float16": "F16"}
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, values in tensors.items():
        place = [at, at + values.nbytes]
        header[name] = {"dtype": names[values.dtype.name], "shape": values.shape, "data_offsets": place}
        at += values.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(values.tobytes() for values in tensors.values())


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def loras() -> list[bytes]:
    """kohya's LoRA, DoRA, LoHa, LoKr, diffusers' and PEFT's spelling, full differences, a text encoder."""
    pair = {f"{_LAYER}.lora_down.weight": _ones(2, 8), f"{_LAYER}.lora_up.weight": _ones(8, 2)}
    conv = "lora_unet_down_blocks_0_resnets_0_conv1"
    notes = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": "2",
        "ss_network_args": json.dumps({"conv_dim": 4, "conv_alpha": "1"}),
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_tag_frequency": json.dumps({"a": {"b": 3}}),
        "sshs_legacy_hash": "0a1b2c3d",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "lora_adapter_metadata": json.dumps({"unet.lora_alpha": 16, "unet.r": 4}),
    }
    rest: list[dict[str, np.ndarray]] = [
        {**pair, f"{_LAYER}.alpha": np.array(1.0, np.float32), f"{_LAYER}.dora_scale": _ones(8, 1)},
        {f"{_LAYER}.hada_w1_a": _ones(8, 2), f"{_LAYER}.hada_w1_b": _ones(2, 8)}
        | {f"{_LAYER}.hada_w2_a": _ones(8, 2), f"{_LAYER}.hada_w2_b": _ones(2, 8)},
        {
            f"{_LAYER}.lokr_w1": _ones(2, 2),
            f"{_LAYER}.lokr_w2": _ones(4, 4),
            f"{_LAYER}.alpha": np.array(1.0, np.float32),
        },
        {f"{conv}.lora_down.weight": _ones(2, 4, 3, 3), f"{conv}.lora_up.weight": _ones(8, 2, 1, 1)},
        {f"{conv}.lora_mid.weight": _ones(2, 2, 3, 3), f"{conv}.lora_down.weight": _ones(2, 4, 1, 1)}
        | {f"{conv}.lora_up.weight": _ones(8, 2, 1, 1)},
        {f"{_LAYER}.diff": _ones(8, 8), f"{_LAYER}.diff_b": _ones(8)},
        {f"{_DIFFUSERS}.lora_A.weight": _ones(2, 8), f"{_DIFFUSERS}.lora_B.weight": _ones(8, 2)},
        {f"{_DIFFUSERS}.lora.down.weight": _ones(2, 8), f"{_DIFFUSERS}.lora.up.weight": _ones(8, 2)},
        {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": _ones(2, 8)}
        | {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": _ones(8, 2)},
    ]
    return [_safetensors(tensors, notes) for tensors in (pair, *rest)]


def peft_lora() -> bytes:
    """The weights of a PEFT folder; what `peft_config` says decides their strength."""
    name = _DIFFUSERS.replace("unet.", "base_model.model.", 1)
    return _safetensors({f"{name}.lora_A.weight": _ones(2, 8), f"{name}.lora_B.weight": _ones(8, 2)})


def peft_config() -> bytes:
    """PEFT's ``adapter_config.json``."""
    found = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "use_rslora": False, "use_dora": False}
    found |= {"alpha_pattern": {"attn1.to_q": 8}, "rank_pattern": {"^down_blocks.*": 2}, "bias": "none"}
    return json.dumps(found | {"target_modules": ["to_q"], "base_model_name_or_path": "a/b"}).encode()


@lru_cache(maxsize=1)
def checkpoint() -> bytes:
    """Every key of an SD1 checkpoint at tiny sizes, but for most of the VAE."""
    shapes = checkpoint_shapes(Sizes(SD1, (16, 24), (1, 0), 20, ((20, 2),)))
    tensors = {
        key: np.zeros((64, *shape[1:]) if "token_embedding" in key else shape, np.float16)
        for key, shape in shapes.items()
        if not key.startswith("first_stage_model.") or "quant_conv" in key
    }
    return _safetensors(tensors, {"format": "pt", "modelspec.title": "tiny", "modelspec.architecture": "x"})


def suggested() -> bytes:
    """What suits a checkpoint, as it lies beside it."""
    found = {"preset": "fast", "copier.rank": 8, "origin.prompt": "a house", "sweep.prompts": ["a", "b"]}
    return json.dumps(found | {"copier.learning_rate": 0.001, "origin.sampler": "Euler a"}).encode()


def pickles() -> list[bytes]:
    """Checkpoints as torch saves them: zip and old format, plain and with what trainers leave in them."""
    import torch

    one = {"model.diffusion_model.out.2.weight": torch.ones(2, 3)}
    full = {"state_dict": {**one, "x": torch.ones(4).bfloat16()}, "global_step": 3, "notes": ["a", None]}
    found = []
    # The old format puts tensors in the order of their addresses: one of them has one order.
    for content, is_zip in (
        (one, True),
        (full, True),
        (one, False),
        ({"state_dict": one, "loss": 0.5}, False),
    ):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=is_zip)
        found.append(_without_addresses(stream.getvalue()))
    return found


def _without_addresses(pickled: bytes) -> bytes:
    """The old format names a tensor's memory by its address, another one each time."""
    return re.sub(rb"(?<!\d)\d{9,16}(?!\d)", lambda found: b"1" * len(found[0]), pickled)


@lru_cache(maxsize=1)
def pictures() -> list[bytes]:
    """Every format that is read, several modes, with a profile, EXIF data, text chunks and frames."""
    from PIL import Image, ImageCms, PngImagePlugin, features

    from lib_copier.image.colour import matrix_profile

    base = Image.linear_gradient("L").resize((72, 64))
    colours = Image.merge("RGB", (base, base.transpose(Image.Transpose.FLIP_LEFT_RIGHT), base))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA001] = 2
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a house\nSteps: 20, Sampler: Euler a, Seed: 1")
    text.add_itxt("note", "値", zip=True)
    linear = matrix_profile(((0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), (1.0,))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames: dict[str, Any] = {"save_all": True, "append_images": [colours.rotate(180)]}
    deep = Image.fromarray(np.arange(64 * 72, dtype=np.uint16).reshape(64, 72))
    wanted: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colours, "PNG", {"pnginfo": text, "icc_profile": linear, "exif": exif}),
        (colours.convert("RGBA"), "PNG", frames),
        (colours.quantize(8), "PNG", {"transparency": 2}),
        (deep, "PNG", {}),
        (base.convert("1"), "PNG", {}),
        (colours, "JPEG", {"icc_profile": srgb, "exif": exif}),
        (colours, "JPEG", {"progressive": True}),
        (colours.convert("CMYK"), "JPEG", {}),
        (colours, "GIF", frames),
        (colours, "BMP", {}),
        (colours, "TIFF", {"compression": "tiff_lzw", "icc_profile": linear}),
        (colours.convert("CMYK"), "TIFF", {}),
        (base.convert("F"), "TIFF", {}),
        (colours, "WEBP", {"icc_profile": linear, "exif": exif}),
        (colours.convert("RGBA"), "WEBP", frames | {"lossless": True}),
    ]
    if features.check("avif"):
        wanted += [(colours, "AVIF", {"exif": exif, "speed": 10}), (colours, "AVIF", frames | {"speed": 10})]
    found = []
    for picture, kind, options in wanted:
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        found.append(stream.getvalue())
    return found


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
        "preset": "fast",
    }
    found = Recipe()
    for key, value in values.items():
        found = changed(found, key, value)
    return json.dumps(to_document(found), ensure_ascii=False).encode()


def published() -> bytes:
    """A LoRA that carries a recipe."""
    from lib_copier.steps.publish import RECIPE_KEY

    layer = {f"{_LAYER}.lora_down.weight": _ones(2, 8), f"{_LAYER}.lora_up.weight": _ones(8, 2)}
    return _safetensors(layer, {RECIPE_KEY: recipe().decode()})


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
    from lib_copier.pictures import PictureRequest, check_requests

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
    from lib_copier import infotext, prompt

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
    from lib_copier.graph.queue import Queue
    from lib_copier.host.standalone import StandaloneHost
    from lib_copier.ui.door import Door
    from lib_copier.ui.picture import PictureRoutes

    mock.patch.object(Queue, "ensure_worker", lambda queue: None).start()
    models = data / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "base.safetensors").write_bytes(checkpoint())
    door = Door(StandaloneHost(data, [models], data / "loras"), PictureRoutes("./file/", data))
    values = {"name": "lines", "checkpoint": str(models / "base.safetensors"), "effect": "outline"}
    values |= {"preset": "fast", "prompt": "a red circle", "method": "copier"}
    door.answer(json.dumps({"act": "create_project", "view": {}, "values": values}))
    (data / "projects").replace(pristine)
    (data / "projects").mkdir()
    return door


def page_requests() -> list[bytes]:
    """A request for every act that starts nothing by itself, with what its form sends."""
    import base64

    view = {"project": "lines", "panel": "edit", "origin": "first", "edit": "outline", "link": 0}
    picture = {"name": "a.png", "data": base64.b64encode(pictures()[3]).decode()}
    lora = {"name": "a.safetensors", "data": base64.b64encode(published()).decode()}
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
