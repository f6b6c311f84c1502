"""The option table: every setting once, for the command line, the JSON, the metadata and the form."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lib_copier.recipe.option_rows import (
    STEP_ENGINES,
    judging_options,
    picture_option,
    training_options,
    tried_options,
)
from lib_copier.settings.goals import CopierGoal, SliderGoal, SurvivalGoal
from lib_copier.settings.option import Option, Value
from lib_copier.settings.training import SETTINGS
from lib_copier.txt2img import pictures

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "project": "Project",
        "base": "Base model",
        "origin": "Origin picture",
        "pictures": "Further pictures",
        "caption": "Caption",
        "copier": "Copier LoRA",
        "copier_model": "Copier model",
        "check": "Copier check",
        "edit": "Edit",
        "edit_lora": "Edit LoRA",
        "merge": "Merge of several pairs",
        "difference": "Difference",
        "resize": "Rank resize",
        "calibrate": "Calibration",
        "sweep": "Preview",
        "publish": "Publish",
    }
)
"""Every group with its title, in the order in which the method meets them."""

METHODS = ("copier", "difference", "pairs")
"""A, B and C."""

_COPIER = ("project.method", ("copier",))
_PAIRS = ("project.method", ("pairs",))
_LEARNED = ("project.method", ("copier", "pairs"))
_DIFFERENCE = ("project.method", ("difference",))
_STYLE = ("base.train_style", (True,))
_MADE_HERE = ("origin.source", ("generate", "webui"))
_ORIGIN_DEFAULTS = {"seed": 1, "steps": 28}

# fmt: off
_PROJECT = (
    Option("project.name", "name", "", "Name", "Goes into the file names of finished LoRAs."),
    Option("project.method", "str", "copier", "Method", "copier: learn the edit on a model that only prints "
           "the origin. difference: subtract two copiers. pairs: learn it from many pictures, without a "
           "copier.", choices=METHODS),
    Option("project.checkpoint", "path", "", "Checkpoint", "The base model, a single file."),
    Option("project.vae", "path", "", "VAE", "A file that replaces the checkpoint's own.", advanced=True),
    replace(SETTINGS["prediction"], key="project.prediction"),
    Option("project.loras", "paths", (), "LoRAs in prompts", "Files that <lora:NAME:WEIGHT> in a prompt may "
           "name, one a line; LoRAs of the WebUI's folder are found by themselves.", advanced=True),
    Option("project.engine", "str", "auto", "Engine", "Who trains and merges.",
           choices=("auto", "embedded", "sd-scripts")),
    replace(SETTINGS["device"], key="project.device", kind="device"),
    Option("project.at_once", "int", 1, "Steps at once", "On a processor, where every step fits into memory "
           "beside the others: so many run side by side. A GPU takes one.", 1, 16, advanced=True,
           is_cosmetic=True),
    Option("project.end", "str", "resize", "End after", "edit_lora: the edit LoRA is the finished one; "
           "resize: go on to difference and rank resize.", choices=("edit_lora", "resize"),
           shown_when=_LEARNED),
)

_BASE = (
    Option("base.loras", "paths", (), "Style LoRAs", "Put into the base model before anything else: FILE or "
           "FILE:WEIGHT, one a line.", advanced=True),
    Option("base.train_style", "bool", False, "Train a style LoRA first", "An ordinary LoRA of a folder of "
           "pictures, so that their style is not learned as part of the edit.", advanced=True),
    Option("base.folder", "path", "", "Folder of pictures", "A .txt file beside a picture is its caption.",
           shown_when=_STYLE, advanced=True),
    Option("base.weight", "float", 1.0, "Style weight", "", -2, 2, shown_when=_STYLE, advanced=True),
    Option("base.as_file", "bool", False, "Write the conditioned model", "As a checkpoint file; otherwise "
           "the LoRAs are added in memory.", advanced=True),
    *training_options("base", shown_when=_STYLE, defaults={"rank": 16, "alpha": 16.0, "steps": 1500}),
)

_ORIGIN = (
    Option("origin.source", "str", "generate", "Source", "generate: our engine makes it with the base model; "
           "webui: the WebUI made it, its file is kept; file: a picture that the base model made.",
           choices=("generate", "webui", "file"), scope="origin"),
    Option("origin.file", "path", "", "Picture", shown_when=("origin.source", ("webui", "file")),
           scope="origin"),
    picture_option("origin.prompt", scope="origin"),
    *(picture_option(f"origin.{name}", scope="origin", shown_when=_MADE_HERE,
                     default=_ORIGIN_DEFAULTS.get(name), advanced=name == "clip_skip")
      for name in pictures.SETTINGS if name != "prompt"),
    Option("origin.caption_source", "str", "prompt", "Caption from", "What training is told about the "
           "picture: its prompt, a typed text, a tagger's tags, or nothing.",
           choices=("prompt", "typed", "tagger", "none"), scope="origin"),
    Option("origin.caption", "text", "", "Caption", "Tags divided by commas.",
           shown_when=("origin.caption_source", ("typed",)), scope="origin"),
    Option("origin.accept_copier", "bool", False, "Go on with this copier", "Train edits on it although it "
           "missed its goal.", scope="origin", advanced=True, is_cosmetic=True),
)

_CAPTION = (
    Option("caption.tagger_model", "path", "SmilingWolf/wd-v1-4-convnext-tagger-v2", "Tagger model",
           "A folder with model.onnx and selected_tags.csv, or a name on the Hugging Face hub.",
           advanced=True),
    Option("caption.tagger_threshold", "float", 0.35, "Tagger threshold", "", 0.05, 0.95, advanced=True),
)

_COPIER_GROUP = (
    *training_options("copier"),
    *(replace(SETTINGS[name], key=f"copier.{name}")
      for name in ("copied_psnr", "copied_every", "unseen_prompts")),
)

_COPIER_MODEL = (
    Option("copier_model.as_file", "bool", False, "Write the copier model", "As a checkpoint file, as the "
           "memo does; otherwise the copier is added in memory.", shown_when=_COPIER, advanced=True),
    Option("copier_model.weight", "float", 1.0, "Copier weight", "", 0, 2, shown_when=_COPIER, advanced=True),
)


_PICTURES = tried_options("pictures", pairs=24, first_seed=9000, scope="recipe", shown_when=_PAIRS)
"""Method C's: drawn as the first origin is."""

_CHECK = (
    Option("check.enabled", "bool", True, "Check the copier", "Print pictures from unseen prompts."),
    *judging_options("check", pairs=4, scope="recipe"),
    Option("check.goal_db", "float", CopierGoal.within_db, "Goal below the ceiling", "How far below what the "
           "VAE can show the worst unseen print may lie, in dB.", 0, 40, advanced=True),
    Option("check.enough_db", "float", CopierGoal.enough_db, "Enough", "The worst print's similarity that is "
           "enough whatever the ceiling, in dB.", 5, 60, advanced=True),
)

_EDIT = (
    Option("edit.align", "bool", False, "Align your own picture", "Move it back onto the origin where it "
           "was found to be shifted.", scope="edit"),
    Option("edit.find_rule", "bool", True, "Find the rule", "What your retouched pictures have in common, as "
           "a rule that makes the same of any picture: sliders are then measured by it, and method C learns "
           "it on further pictures. Two retouched pictures or more.", scope="edit", advanced=True),
    Option("edit.check_vae", "bool", True, "Check against the VAE", "How much of the edit it lets through.",
           advanced=True),
    Option("edit.least_kept", "float", SurvivalGoal.share, "Least share that the VAE keeps", "Of an edit of "
           "which it keeps less a LoRA can learn next to nothing.", 0, 1, scope="edit", advanced=True),
    Option("edit.accept_faint", "bool", False, "Go on with this edit", "Learn it although the VAE keeps "
           "little of it.", scope="edit", advanced=True, is_cosmetic=True),
)

_EDIT_LORA = (
    *training_options("edit_lora", scope="edit", shown_when=_LEARNED, defaults={"steps": 4096}),
    Option("edit_lora.mask", "bool", False, "Learn only where the pictures differ", "A soft mask from the "
           "pair weighs the loss.", scope="edit", shown_when=_COPIER, advanced=True),
    Option("edit_lora.against_origin", "bool", False, "Learn against the copier's print", "What the copier "
           "still gets wrong is not learned with the edit; a third slower a step.", scope="edit",
           shown_when=_COPIER, advanced=True),
)

_COMBINE = (
    Option("merge.ratio", "str", "mean", "Weights of several pairs", "mean: their average; sum: each at 1, "
           "as in the memo.", choices=("mean", "sum"), advanced=True),
    Option("merge.engine", "str", "project", "Engine", choices=STEP_ENGINES, advanced=True),
    Option("difference.way", "str", "exact", "Way", "exact: straight from the LoRAs, nothing lost; "
           "checkpoints: merge into the base and extract, as in the memo.", choices=("exact", "checkpoints"),
           scope="edit", shown_when=_COPIER, advanced=True),
    Option("difference.rank", "int", 64, "Extracted rank", "", 1, 1024, scope="edit",
           shown_when=("difference.way", ("checkpoints",)), advanced=True),
    Option("difference.min_diff", "float", 0.01, "Smallest difference", "Below it the text encoder is left "
           "out.", 0, 1, scope="edit", shown_when=("difference.way", ("checkpoints",)), advanced=True),
    Option("difference.sign", "str", "edit", "Sign", "edit: edited − origin, plus adds the edit; memo: "
           "origin − edited, plus removes it.", choices=("edit", "memo"), shown_when=_DIFFERENCE),
    Option("difference.engine", "str", "project", "Engine", choices=STEP_ENGINES, advanced=True),
)

_RESIZE = (
    Option("resize.enabled", "bool", True, "Lower the rank", scope="edit", shown_when=_LEARNED),
    Option("resize.rank", "int", 8, "New rank", "8 as in the memo; 4 was still enough.", 1, 1024,
           scope="edit"),
    Option("resize.conv_rank", "int", None, "New rank of 3×3 convolutions", "none: the same.", 1, 1024,
           optional=True, scope="edit", advanced=True),
    Option("resize.dynamic_method", "str", "none", "Dynamic rank", "A rank a layer, up to the new one.",
           choices=("none", "sv_ratio", "sv_cumulative", "sv_fro"), scope="edit", shown_when=_LEARNED,
           advanced=True),
    Option("resize.dynamic_param", "float", 0.9, "Dynamic parameter", "", 0, 1000, scope="edit",
           shown_when=("resize.dynamic_method", ("sv_ratio", "sv_cumulative", "sv_fro")), advanced=True),
    Option("resize.save_precision", "str", "fp16", "Saved precision", choices=("fp16", "bf16", "float"),
           scope="edit", advanced=True),
    Option("resize.engine", "str", "project", "Engine", choices=STEP_ENGINES, advanced=True),
)

_CALIBRATE = (
    Option("calibrate.gain", "float", None, "Gain", "none: it is measured, so that weight 1 gives the edit; "
           "1: as it was learned.", 0.05, 20, optional=True, scope="edit"),
    Option("calibrate.most_leak", "float", 0.05, "Most leak", "There the gain ends.", 0, 1, scope="edit"),
    *tried_options("calibrate", pairs=8, first_seed=5000, scope="edit"),
)

_SWEEP = (
    Option("sweep.enabled", "bool", True, "Make a preview", "Pictures at every weight, measured."),
    *judging_options("sweep", pairs=8, scope="edit"),
    Option("sweep.weight_min", "float", -2.0, "Lowest weight", "", -4, 0, scope="edit"),
    Option("sweep.weight_max", "float", 2.0, "Highest weight", "", 0, 4, scope="edit"),
    Option("sweep.weight_step", "float", 0.5, "Weight step", "", 0.05, 2, scope="edit", advanced=True),
    *(Option(f"sweep.{side}", "int", 0, pictures.SETTINGS[side].label, "0: the origin's.", 0,
             pictures.SETTINGS[side].maximum, scope="edit", advanced=True) for side in ("width", "height")),
    Option("sweep.checkpoint", "path", "", "Another checkpoint", "Try the LoRA on this one; empty: the base "
           "model.", scope="edit", advanced=True),
    Option("sweep.goal_correlation", "float", SliderGoal.correlation, "Follows its weight", "Rank "
           "correlation of effect and weight, at least.", 0, 1, scope="edit", advanced=True),
    Option("sweep.goal_strength", "float", SliderGoal.strength, "Least strength", "Share of the edit that "
           "weight 1 gives, at least.", 0, 2, scope="edit", advanced=True),
    Option("sweep.goal_leak", "float", SliderGoal.leak, "Most leak", "Drift toward the origin at weight 1.",
           0, 1, scope="edit", advanced=True),
    Option("sweep.goal_rest", "float", SliderGoal.rest, "Most rest", "What weight 1 may change beside the "
           "edit, in levels of 255.", 0, 255, scope="edit", advanced=True),
    Option("sweep.accept", "bool", False, "Go on with this slider", "Publish it although it missed its goal.",
           scope="edit", advanced=True, is_cosmetic=True),
    Option("sweep.control", "bool", False, "Compare with ordinary training", "Train the edited picture on "
           "the base model too, the ordinary way, and measure it likewise.", advanced=True),
)

_PUBLISH = (
    Option("publish.name", "name", "", "Name", "The file's name; empty: PROJECT-EDIT.", scope="edit"),
    Option("publish.folder", "path", "", "Lora folder", "Where to put the LoRA; empty: it stays in the "
           "project."),
    Option("publish.activation_text", "text", "", "Activation text", scope="edit", advanced=True),
    Option("publish.preferred_weight", "float", 1.0, "Preferred weight", "", -4, 4, scope="edit"),
    Option("publish.notes", "text", "", "Notes", scope="edit", advanced=True),
)
# fmt: on

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        option.key: option
        for group in (_PROJECT, _BASE, _ORIGIN, _PICTURES, _CAPTION, _COPIER_GROUP, _COPIER_MODEL, _CHECK)
        + (_EDIT, _EDIT_LORA, _COMBINE, _RESIZE, _CALIBRATE, _SWEEP, _PUBLISH)
        for option in group
    }
)
"""Every option by its dotted key, in the order of the method."""


def defaults() -> dict[str, Value]:
    """The value of every setting that belongs to the recipe itself (not to an origin)."""
    return {key: option.default for key, option in OPTIONS.items() if option.scope != "origin"}


def meant(typed: str) -> list[str]:
    """Keys that a name which is none may mean: those that are it but for their group, else the most alike."""
    same = [key for key in OPTIONS if key.partition(".")[2] == typed]
    return same or difflib.get_close_matches(typed, OPTIONS, n=1)


def group(name: str) -> tuple[Option, ...]:
    """The options of one group, in order."""
    return tuple(option for option in OPTIONS.values() if option.group == name)
