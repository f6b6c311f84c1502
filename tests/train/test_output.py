"""The finished file tells how it was trained, in the words of sd-scripts."""

from __future__ import annotations

import json

from lib_copier.model_file.header import read_header


def test_the_metadata_is_that_of_sd_scripts(make_config, run):
    config = make_config(metadata={"copier_note": "x"}, min_snr_gamma=5, conv_rank=2, conv_alpha=1)
    run(config)
    found = read_header(config.output).metadata
    expected = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
        "ss_network_alpha": "4.0",
        "ss_learning_rate": "0.001",
        "ss_lr_scheduler": "constant_with_warmup",
        "ss_steps": "6",
        "ss_seed": "0",
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_sd_model_name": config.checkpoint.name,
        "ss_mixed_precision": "no",
        "ss_min_snr_gamma": "5.0",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.prediction_type": "epsilon",
        "modelspec.resolution": "64x64",
        "copier_note": "x",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert {"sshs_model_hash", "sshs_legacy_hash", "ss_new_sd_model_hash", "ss_session_id"} <= found.keys()
    assert json.loads(found["ss_tag_frequency"]) == {config.pictures[0].path.parent.name: _counts(config)}
    assert json.loads(found["ss_datasets"])[0]["resolution"] == [64, 64]
    assert json.loads(found["ss_network_args"]) == {"conv_dim": "2", "conv_alpha": "1.0"}


def _counts(config) -> dict[str, int]:
    return {tag.strip(): 1 for tag in config.pictures[0].caption.split(",")}


def test_a_shortened_warm_up_stands_in_the_metadata(make_config, run):
    config = make_config(warmup_steps=500, steps=3)
    notes: list[str] = []
    run(config, log=notes.append)
    assert "rises over all its 3 steps" in notes[0]
    assert read_header(config.output).metadata["ss_lr_warmup_steps"] == "3"
