"""What a network that answers the same whatever its input gets."""

import math

import pytest
import torch

from symstudy.losses.cross_entropy import CrossEntropy
from symstudy.losses.squared_error import SquaredError
from symstudy.study import PackConfig
from symstudy.training import train_pack
from symstudy.training.trivial import constant_loss


def test_the_mean_is_the_best_constant_of_the_squared_error():
    targets = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0)).double() + 2.0
    variance = targets.var(dim=1, correction=0).sum(dim=1)
    torch.testing.assert_close(constant_loss(SquaredError(), targets), variance)


def test_the_entropy_of_the_classes_is_the_least_cross_entropy():
    targets = torch.eye(3, dtype=torch.float64)[[0, 0, 0, 1]][None]
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert constant_loss(CrossEntropy(), targets).item() == pytest.approx(entropy)


def test_runs_record_what_a_constant_answer_gets(study_of):
    runs = study_of(sweep={"seed": 2}).runs()
    columns = train_pack(runs, PackConfig()).runs
    assert (columns["trivial_loss"] > 0).all()
    assert columns["trivial_loss"][0] != columns["trivial_loss"][1]
    assert all(map(math.isnan, columns["trivial_accuracy"]))
