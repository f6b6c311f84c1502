"""Generation that paints one colour, decided by seed and LoRA weights."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

from PIL import Image

from modules import call_queue, paths_internal, shared


@dataclasses.dataclass
class StableDiffusionProcessingTxt2Img:
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = -1
    width: int = 512
    height: int = 512
    steps: int = 50
    cfg_scale: float = 7.0
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    override_settings: dict = dataclasses.field(default_factory=dict)

    def close(self):
        shared.calls.append(("close",))


fail_with = []


def process_images(p):
    assert not call_queue.queue_lock.acquire(blocking=False), "GPU work is done under queue_lock"
    assert p.scripts.alwayson_scripts == []  # reForge looks here without asking
    unknown = [key for key in p.override_settings if key not in shared.opts.data]
    assert not unknown, f"the host raises KeyError for {unknown}"
    shared.calls.append(("process", p.prompt, dict(p.override_settings), p.scheduler))
    Path(paths_internal.data_path, "params.txt").write_text(p.prompt)
    if fail_with:
        raise fail_with.pop()
    weights = re.findall(r"<lora:[^:>]+:([-0-9.]+)>", p.prompt)
    shade = (p.seed + round(50 * sum(map(float, weights)))) % 256
    image = Image.new("RGB", (p.width, p.height), (shade, 0, 0))
    images = [] if shared.state.interrupted else [image]
    text = f"{p.prompt}\nSteps: {p.steps}, Seed: {p.seed}"
    return SimpleNamespace(images=images, infotexts=[text][: len(images)], index_of_first_image=0, info=text)
