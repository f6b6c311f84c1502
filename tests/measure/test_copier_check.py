"""The copier check compares prints with the origin and with the VAE's ceiling."""

from __future__ import annotations

import json

import pytest
from PIL import Image, ImageFilter

from lib_copier.image.similarity import SAME_DB, similarity
from lib_copier.measure.copier_check import check_copier
from lib_copier.txt2img.pictures import LoraUse, PictureRequest


def test_copier_check(scene, known_maker, tmp_path):
    origin = scene(7)
    # A "copier" that is 90 % origin at weight 1.
    maker = known_maker(scene, (), origin, leak=0.9)
    copier = LoraUse(tmp_path / "copier.safetensors")
    softened = origin.filter(ImageFilter.GaussianBlur(0.6))
    result = check_copier(
        maker,
        origin=origin,
        round_trip=softened,
        requests=[
            PictureRequest("a red circle", seed=seed, sampler="DDIM", loras=(copier,)) for seed in range(6)
        ],
        output=tmp_path,
        progress=lambda done, total: None,
    )
    each = [entry["psnr_db"] for entry in result["pictures"]]
    psnr, ssim = result["psnr_db"], result["ssim"]
    assert psnr["min"] == min(each) <= psnr["median"] and 20 < psnr["min"] < SAME_DB
    assert psnr["ceiling"] == pytest.approx(similarity(origin, softened).psnr_db, abs=0.01)
    assert 0.5 < ssim["min"] <= ssim["median"] < 1.0
    assert {request.sampler for request in maker.asked} == {"DDIM"}
    for name in ("origin.png", "round_trip.png", "proof.png", "00.png", "05.png"):
        assert Image.open(tmp_path / name).size[0] >= 128
    json.dumps(result, allow_nan=False)


def test_similarity_of_equal_and_opposite_pictures(scene):
    same = similarity(scene(1), scene(1))
    assert (same.psnr_db, same.ssim) == (SAME_DB, 1.0)
    far = similarity(Image.new("RGB", (32, 32)), Image.new("RGB", (32, 32), (255, 255, 255)))
    assert far.psnr_db == pytest.approx(0.0) and far.ssim < 0.01
