"""Learning against the origin: nothing but the change from it to the edited picture is learned."""

from __future__ import annotations

import pytest
import torch

from lib_copier.errors import FaultsError
from lib_copier.lora.file import read_lora
from lib_copier.train.feed import Feed
from lib_copier.train.prepare import prepare


@pytest.mark.parametrize(("family", "markers"), [("sd1", ()), ("sdxl", ("v_pred",))])
@pytest.mark.parametrize("train_text_encoder", [False, True])
def test_a_picture_against_itself_teaches_nothing(
    make_config, checkpoints, run, write_picture, tmp_path, family, markers, train_text_encoder
):
    picture = str(write_picture(tmp_path / "a.png", 1))
    config = make_config(
        checkpoint=str(checkpoints(family, *markers)),
        pictures=[{"path": picture, "origin": picture}],
        train_text_encoder=train_text_encoder,
        steps=2,
    )
    assert run(config).final_loss == 0.0
    assert not any(layer.up.any() for layer in read_lora(config.output).layers.values())


def test_against_its_origin_only_the_change_is_learned(make_config, write_picture, tmp_path):
    origin, edited = (str(write_picture(tmp_path / f"{seed}.png", seed)) for seed in (1, 2))
    config = make_config(pictures=[{"path": edited, "origin": origin}], batch_size=2)
    prepared = prepare(config, log=print)
    step, batch = prepared.step, Feed(config, prepared).batch(0)

    def predicted(latents):
        return step._predict(step._schedule.add_noise(latents, batch.noise, batch.timesteps), batch)

    with torch.no_grad():
        for layer in step.network.layers:
            layer.up.normal_(std=0.1)
        found = step.loss(batch)
        with step.network.silent():
            before = predicted(batch.origin)
        # The demo's and SD1's models predict noise, which is the same for both pictures.
        assert found == pytest.approx(float((predicted(batch.latents) - before).square().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("ahead", "back", "recomputes"),
    [([0], [0], False), ([0], [1], True), ([0, 1], [1, 2], False), ([0, 1], [2, 3], False)],
)
def test_half_a_batch_learns_the_opposite_change_at_minus_1(
    make_config, write_picture, tmp_path, ahead, back, recomputes
):
    origin, edited = (str(write_picture(tmp_path / f"{seed}.png", seed)) for seed in (1, 2))
    config = make_config(
        pictures=[{"path": edited, "origin": origin}],
        opposite=True,
        batch_size=back[-1] + 1,
        gradient_checkpointing=recomputes,
        max_grad_norm=0,
    )
    prepared = prepare(config, log=print)
    step, batch = prepared.step, Feed(config, prepared).batch(0)
    with torch.no_grad():
        for layer in step.network.layers:
            layer.up.normal_(std=0.1)

    def predicted(pictures, row):
        own = batch.rows(slice(row, row + 1))
        noisy = step._schedule.add_noise(pictures[[row]], own.noise, own.timesteps)
        return step._predict(noisy, own)

    def wanted(picture, rows):
        losses = []
        for row in rows:
            with torch.no_grad(), step.network.silent():
                printed = predicted(batch.origin, row)
            losses.append((predicted(picture, row) - printed).square().mean() / 2)
        loss = torch.stack(losses).mean()
        return loss.detach(), torch.autograd.grad(loss, step.network.masters)

    loss, gradients = wanted(batch.latents, ahead)
    with step.network.turned():
        other_loss, other_gradients = wanted(2 * batch.origin - batch.latents, back)
    assert float(step.loss(batch).detach()) == pytest.approx(float(loss + other_loss), rel=1e-5)
    assert float(step(batch).loss) == pytest.approx(float(loss + other_loss), rel=1e-5)
    for master, *each in zip(step.network.masters, gradients, other_gradients, strict=True):
        assert torch.allclose(master.grad, each[0] + each[1], rtol=1e-3, atol=1e-6)


def test_the_opposite_of_a_picture_without_origin_is_refused(make_config):
    with pytest.raises(FaultsError, match="give every picture one"):
        make_config(opposite=True)
