"""Trains the demo checkpoint's U-Net and text encoder together, on cached latents."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from lib_copier.models.noise import TRAIN_STEPS, NoiseSchedule

TOKENS = 77
_SD15_WIDTH = 320
_HEAD_WIDTH = 64
_WARM_UP = 0.15
"""Share of the training in which the rate rises."""


def channels_of(width: int) -> tuple[int, ...]:
    """Channels of the four levels: the demo's 64, 96, 128, 96 scaled to `width`, or SD1.5's own at 320.

    Rounded up to whole groups of 32, which the SD1 layout normalises by.
    """
    if width == _SD15_WIDTH:
        return (320, 640, 1280, 1280)
    return tuple(-(-width * share // (32 * 2)) * 32 for share in (2, 3, 4, 3))


def text_width_of(width: int) -> int:
    """Width of the text encoder, and of cross-attention, beside a U-Net of this width: 64, or SD1.5's 768."""
    return 768 if width == _SD15_WIDTH else 64


def build_unet(width: int, text_width: int) -> UNet2DConditionModel:
    """A U-Net in the SD1 layout for 16×16 latents: 9.7 M parameters at width 64."""
    return UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, layers_per_block=2,
        block_out_channels=channels_of(width),
        cross_attention_dim=text_width, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )  # fmt: skip


def build_text_encoder(layers: int, width: int) -> CLIPTextModel:
    """A text encoder over the full CLIP vocabulary."""
    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=width, intermediate_size=4 * width,
        num_hidden_layers=layers, num_attention_heads=width // _HEAD_WIDTH,
        max_position_embeddings=TOKENS, hidden_act="quick_gelu",
        bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    )  # fmt: skip
    return CLIPTextModel(config)


class Step:
    """One training step with fixed buffers, so that CUDA can replay it as one graph.

    On CUDA the models compute in bf16 copies of the fp32 weights that the optimiser keeps: half the memory
    traffic of autocast, which is all that a network this small waits for.
    """

    def __init__(
        self, unet: UNet2DConditionModel, text: CLIPTextModel, schedule: NoiseSchedule, batch: int
    ) -> None:
        device = schedule.alphas_cumprod.device
        cuda = device.type == "cuda"
        self.parameters = [*unet.parameters(), *text.parameters()]
        self.unet, self.text = (copy.deepcopy(part).bfloat16() if cuda else part for part in (unet, text))
        self.working = [*self.unet.parameters(), *self.text.parameters()]
        self.dtype = self.working[0].dtype
        self.rate = torch.zeros((), device=device)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=self.rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=True, capturable=cuda
        )
        for parameter in [*self.parameters, *self.working]:
            parameter.grad = torch.zeros_like(parameter)
        self.schedule = schedule
        self.latents = torch.zeros(batch, 4, 16, 16, device=device)
        self.tokens = torch.full((batch, TOKENS), 49407, device=device)
        self.noise = torch.zeros_like(self.latents)
        self.times = torch.zeros(batch, dtype=torch.long, device=device)
        self.loss = torch.zeros((), device=device)
        self.average = [p.detach().clone() for p in self.parameters]
        self.graph: torch.cuda.CUDAGraph | None = None

    def _work(self) -> None:
        noisy = self.schedule.add_noise(self.latents, self.noise, self.times).to(self.dtype)
        wanted = self.schedule.target(self.latents, self.noise, self.times)
        hidden = self.text(self.tokens).last_hidden_state
        made = self.unet(noisy, self.times, hidden).sample
        loss = (made.float() - wanted).square().mean()
        loss.backward()
        if self.working[0] is not self.parameters[0]:
            torch._foreach_copy_([p.grad for p in self.parameters], [p.grad for p in self.working])
            torch._foreach_zero_([p.grad for p in self.working])
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        if self.working[0] is not self.parameters[0]:
            with torch.no_grad():
                torch._foreach_copy_(self.working, self.parameters)
        self.loss.copy_(loss.detach())

    def warm_up(self) -> None:
        """Record the graph (CUDA only) after a few plain steps on a side stream."""
        if self.latents.device.type != "cuda":
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._work()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._work()

    def __call__(self, rate: float, decay: float) -> None:
        self.rate.fill_(rate)
        self._work() if self.graph is None else self.graph.replay()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)


def train_unet(
    models: tuple[UNet2DConditionModel, CLIPTextModel], latents: torch.Tensor, captions: list[list[str]],
    tokenize: Callable[[str], list[int]], *, schedule: NoiseSchedule, seconds: float,
    steps: int | None = None, batch: int = 512, rate: float = 1.5e-3, report: Callable[[str], None] = print,
    log_every: int = 1000,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:  # fmt: skip
    """U-Net and text encoder trained from where they are, for `steps` or else for `seconds`.

    `latents` are (N, 4, 16, 16), already scaled; `schedule` lies on the device that trains.

    Tags are shuffled and a tenth of the captions dropped, so that order means nothing and guidance works.
    Returns the averaged weights.
    """
    torch.manual_seed(1)
    device = schedule.alphas_cumprod.device
    unet, text = (part.to(device).train().requires_grad_() for part in models)
    if device.type == "cuda":
        unet = unet.to(memory_format=torch.channels_last)
    tokens = _token_table(captions, tokenize).to(device)
    latents = latents.to(device)
    step = Step(unet, text, schedule, batch)
    step.warm_up()
    start, count, spent = time.time(), 0, 0.0
    while (share := count / steps if steps is not None else spent / seconds) < 1:
        pick = torch.randint(len(latents), (batch,), device=device)
        step.latents.copy_(latents[pick])
        rows = tokens[torch.randint(tokens.shape[0], (batch,), device=device), pick]
        dropped = torch.rand(batch, 1, device=device) < 0.1
        step.tokens.copy_(
            torch.where(
                dropped, tokens.new_full((1, TOKENS), 49407).index_fill_(1, tokens.new_zeros(1), 49406), rows
            )
        )
        step.noise.normal_()
        # One time step from each of `batch` equal slices: every batch sees the whole range.
        slices = (torch.arange(batch, device=device) + torch.rand(batch, device=device)) / batch
        step.times.copy_((TRAIN_STEPS * slices).long().clamp(0, TRAIN_STEPS - 1))
        step(
            rate * min(1.0, share / _WARM_UP) * (0.5 + 0.5 * float(np.cos(np.pi * share))) + 1e-7,
            min(0.9995, count / (count + 50)),
        )
        count, spent = count + 1, time.time() - start
        if count % log_every == 0:
            report(f"unet step {count}, {spent:.0f} s, loss {step.loss.item():.4f}")
    with torch.no_grad():
        for parameter, mean in zip(step.parameters, step.average, strict=True):
            parameter.copy_(mean)
    report(f"unet done: {count} steps of {batch}")
    return unet.eval().requires_grad_(False), text.eval().requires_grad_(False)


def _token_table(
    captions: list[list[str]], tokenize: Callable[[str], list[int]], shuffles: int = 6
) -> torch.Tensor:
    """Token ids of every caption in several tag orders, (shuffles, N, 77)."""
    rng = np.random.default_rng(2)
    comma = tokenize(",")
    known = {tag: [*tokenize(tag), *comma] for tag in {tag for tags in captions for tag in tags}}
    table = np.full((shuffles, len(captions), TOKENS), 49407)
    for order in range(shuffles):
        for row, tags in enumerate(captions):
            ids = [token for index in rng.permutation(len(tags)) for token in known[tags[index]]][:-1]
            table[order, row, 0] = 49406
            table[order, row, 1 : min(len(ids), TOKENS - 2) + 1] = ids[: TOKENS - 2]
    return torch.from_numpy(table)
