"""Names between diffusers, single files and kohya, checked against tables of real models."""

from __future__ import annotations

import hashlib

import pytest

from benchmarks.shapes import SD15, SD21, SDXL_BASE, checkpoint_shapes, lora_shapes
from lib_copier.lora.layout import slots_for, slots_in_file, unet_diffusers_name
from lib_copier.lora.names import canonical_name, kohya_name, lora_slots
from lib_copier.model_file.families import SDXL

# Digests of tables that were read from real files: a real SD1.5 checkpoint, and LoRAs that
# sd-scripts wrote (names and weight shapes, one a line, sorted).
REAL = {
    "checkpoint": "bcf4603c65ebe128ddff3a53973ab8eac10a5560f7a17846af3c3026837b5295",
    "sd15": "91c82e89513f85de4e4af947af611108d255b45fd739beab4dfda5018f88c8b4",
    "sd15_conv": "76cc6f309ac7bd83845cd5c5bf6be040ba05922d2e4f533482ea92363709d013",
    "sdxl": "1681b4eec0124e68599496a0d8ec79f7e65f0fc6379a53d3b2a384478e401e44",
    "sdxl_conv": "5bbac065c4ce37e6f9fbdb376f8c6e1af965969ffa574eadce06e3b9dfb42381",
}


def digest(shapes):
    table = "".join(f"{name} {list(shapes[name])}\n" for name in sorted(shapes))
    return hashlib.sha256(table.encode()).hexdigest()


def test_rules_give_the_real_tables():
    assert digest(checkpoint_shapes(SD15)) == REAL["checkpoint"]
    assert digest(lora_shapes(SD15)) == REAL["sd15"]
    assert digest(lora_shapes(SD15, has_conv=True)) == REAL["sd15_conv"]
    assert digest(lora_shapes(SDXL_BASE)) == REAL["sdxl"]
    assert digest(lora_shapes(SDXL_BASE, has_conv=True)) == REAL["sdxl_conv"]


@pytest.mark.parametrize("sizes", [SD15, SD21, SDXL_BASE], ids=lambda sizes: sizes.family.name)
def test_every_key_goes_to_diffusers_and_back(sizes):
    shapes = checkpoint_shapes(sizes)
    parts = slots_in_file(shapes, sizes.family)
    for part, slots in parts.items():
        assert slots_for(part, slots, sizes.family) == slots
    assert {slot.key for slots in parts.values() for slot in slots.values()} == set(shapes)


def test_unknown_modules_are_not_lost_silently():
    with pytest.raises(KeyError, match="no place"):
        slots_for("unet", ["controlnet.weight"], SDXL)
    with pytest.raises(KeyError):
        kohya_name(SDXL, "unet", "strange.module")
    assert unet_diffusers_name("strange.weight") is None


def test_both_spellings_of_sdxl_layers_are_one():
    for name in lora_shapes(SDXL_BASE, has_conv=True):
        if not name.startswith("lora_unet_"):
            continue
        other = "lora_unet_" + unet_diffusers_name(name.removeprefix("lora_unet_"), "_")
        assert other != name
        assert canonical_name(other, SDXL) == name == canonical_name(name, SDXL)


def test_open_clip_keeps_query_key_and_value_in_thirds():
    slots = lora_slots(checkpoint_shapes(SD21), SD21.family)
    head = "lora_te_text_model_encoder_layers_3_self_attn_"
    places = [slots[f"{head}{letter}_proj"] for letter in "qkv"]
    key = "cond_stage_model.model.transformer.resblocks.3.attn.in_proj_weight"
    assert [(place.key, place.third) for place in places] == [(key, 0), (key, 1), (key, 2)]
