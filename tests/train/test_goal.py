"""What looks find: prints of unseen prompts with fresh noise, and how much of an edit is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from lib_copier.image.similarity import psnr
from lib_copier.settings.training import BELOW_CEILING
from lib_copier.train.goal import CopyGoal, EditGoal, HeldLoss
from lib_copier.train.inject import LoraNetwork
from lib_copier.train.prepare import prepare


@pytest.fixture
def prepared(make_config):
    config = make_config(
        copied_psnr=28.0, unseen_prompts=["a car", "two birds", "a cup", "a door"], batch_size=2
    )
    return config, prepare(config, log=print)


def copy_goal(config, run, wanted=28.0):
    return CopyGoal(run, run.painter, config.own_unseen_prompts, wanted)


@dataclass(frozen=True)
class Prints:
    """A painter's stand-in: the picture with an error, the larger for the second row; notes its seeds."""

    picture: torch.Tensor
    asked: list[int]
    seed: int = 0

    def paint(self, rows, shape, time_ids):
        self.asked.append(self.seed)
        return torch.cat([self.picture + 0.01 * (place + 1) for place in range(len(rows))])


def test_the_least_similar_print_decides(prepared):
    config, run = prepared
    prints = Prints(run.sources[0].pixels, [])
    goal = CopyGoal(run, prints, config.own_unseen_prompts, 28.0)
    own = run.sources[0].pixels.numpy()
    goal.wanted = 99.0
    sight = goal.look(3)
    assert sight.reached == pytest.approx(psnr(own + 0.04, own, 2.0), abs=1e-3) == min(goal.found)
    # The error of all prints together: the mean square of 1, 2, 3 and 4 hundredths.
    assert sight.score == pytest.approx(10 * math.log10(4 / 7.5e-4), abs=1e-3) and not sight.is_reached
    assert len(goal.found) == 4 and len(prints.asked) == 1
    # Where the goal is reached, noise that was never drawn has to say the same, six times.
    goal.wanted = 20.0
    assert goal.look(4).is_reached and goal.look(5).is_reached
    assert len(goal.found) == 28 and len(prints.asked) == 15 and len(set(prints.asked)) == 13


def test_one_bad_print_of_other_noise_is_enough(prepared):
    config, run = prepared
    asked: list[int] = []
    good, bad = run.sources[0].pixels + 0.01, run.sources[0].pixels + 0.2

    @dataclass(frozen=True)
    class Swinging(Prints):
        def paint(self, rows, shape, time_ids):
            self.asked.append(self.seed)
            return torch.cat([good] * (len(rows) - 1) + [bad if len(self.asked) == 3 else good])

    goal = CopyGoal(run, Swinging(good, asked), config.own_unseen_prompts, 28.0)
    goal.wanted = 26.0
    sight = goal.look(25)
    assert not sight.is_reached and sight.reached < 26.0 < sight.score
    # The rest need not be asked.
    assert len(asked) == 3 and len(goal.found) == 12


def test_nobody_wants_more_than_the_vae_can_show(prepared):
    config, run = prepared
    trip, own = run.pictures[0].round_trip.numpy(), run.sources[0].pixels.numpy()
    ceiling = psnr(trip, own, 2.0)
    assert copy_goal(config, run, 60.0).wanted == pytest.approx(ceiling - BELOW_CEILING)
    assert copy_goal(config, run, ceiling - 20.0).wanted == pytest.approx(ceiling - 20.0)


def test_looks_draw_the_same_noise_and_change_nothing(prepared):
    config, run = prepared
    before = [master.detach().clone() for master in run.step.network.masters]
    goal = copy_goal(config, run, wanted=99.0)
    goal.wanted = 99.0
    again = copy_goal(config, run)
    again.wanted = 99.0
    assert goal.look(1) == goal.look(2) == again.look(3)
    assert math.isfinite(goal.look(1).score)
    assert all(map(torch.equal, before, run.step.network.masters))


def test_prompts_that_are_learned_are_no_unseen_ones(make_config):
    config = make_config(
        copied_psnr=28,
        unseen_prompts=["a dog", "a cat", "x"],
        other_prompts=["a dog", ""],
        other_prompt_share=0.5,
    )
    assert config.own_unseen_prompts == ("a cat", "x")


def test_a_held_loss_is_the_same_until_the_model_changes(prepared):
    config, run = prepared
    held = HeldLoss(config, run)
    first = held()
    assert first == held() == HeldLoss(config, run)()
    with torch.no_grad():
        for master in run.step.network.masters:
            master.add_(0.05)
    assert held() != first


def test_what_is_learned_of_an_edit_is_told_in_decibels():
    losses = iter([0.5, 0.5, 0.05, 0.005, 1.0, 0.0])
    goal = EditGoal(lambda: next(losses), LoraNetwork([]))
    found = [goal.look(step).score for step in range(5)]
    assert np.allclose(found, [0.0, 10.0, 20.0, 10 * math.log10(0.5), 0.0])


def test_where_a_broken_run_goes_on_an_edit_is_measured_from_its_start(prepared):
    config, run = prepared
    held = HeldLoss(config, run)
    fresh = EditGoal(held, run.step.network)
    with torch.no_grad():
        for master in run.step.network.masters:
            master.add_(0.05)
    assert EditGoal(held, run.step.network).look(1) == fresh.look(1)
    assert fresh.look(1).score != 0.0


def test_a_loss_that_is_no_number_is_no_score():
    losses = iter([0.5, math.nan])
    assert EditGoal(lambda: next(losses), LoraNetwork([])).look(1).score == -math.inf
