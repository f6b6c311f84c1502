"""Style LoRAs condition the base model."""

from __future__ import annotations

from tests.steps.looks import published, states


def test_style_loras_condition_the_base_model(project, tmp_path):
    from PIL import Image

    style = tmp_path / "style"
    style.mkdir()
    Image.new("RGB", (64, 64), "blue").save(style / "a.png")
    (style / "a.txt").write_text("blue")
    lora = tmp_path / "given.safetensors"
    first = project("first")
    first.run()
    lora.write_bytes(published(first))
    made = project("second", base__loras=(f"{lora}:0.5",), base__train_style=True, base__folder=str(style))
    made.run()
    weights = [one.weight for one in made.plan().step("copier/one").inputs if one.role == "base_lora"]
    assert weights == [0.5, 1.0] and states(made)["base_lora"] == "done"
    made.set({"base.as_file": "yes"})
    made.run()
    assert states(made)["base"] == "done"
    assert not [one for one in made.plan().step("copier/one").inputs if one.role == "base_lora"]
