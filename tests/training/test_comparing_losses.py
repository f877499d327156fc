"""Losses that hold a sample against the others of its batch, such as InfoNCE."""

import numpy as np
import pytest

from symstudy.errors import ModelError
from symstudy.study import PackConfig, load_study
from symstudy.training import train_pack

CODE = """
import numpy as np
import torch


class Encoder(torch.nn.Module):
    def __init__(self, input_dim, width=4):
        super().__init__()
        self.first = torch.nn.Linear(input_dim, width)
        self.last = torch.nn.Linear(width, width)

    def forward(self, x):
        views = {"z1": x, "z2": -x}
        return {name: self.last(torch.tanh(self.first(view))) for name, view in views.items()}


def points(seed=0):
    x = np.random.default_rng(seed).normal(size=(30, 3))
    return x[:20], x[:20, 0], x[20:], x[20:, 0]


def contrast(views, targets):
    z1, z2 = (torch.nn.functional.normalize(views[name], dim=2) for name in ("z1", "z2"))
    similar = z1 @ z2.transpose(1, 2)
    return similar.logsumexp(dim=2) - similar.diagonal(dim1=1, dim2=2)


def declared(views, targets):
    return contrast(views, targets)


def size(views, targets):
    return views["z1"].shape[1] + 0.0 * views["z1"].sum(dim=2)


def across_runs(views, targets):
    return contrast(views, targets) + views["z1"].mean()


for each in (declared, size, across_runs):
    each.compares_samples = True
"""
STUDY = """
schema = 1
name   = "compared"
[model]
kind = "comparing:Encoder"
[data]
kind = "comparing:points"
[train]
loss       = "comparing:{loss}"
lr         = 0.1
batch_size = 4
steps      = 30
[sweep]
seed = 3
"""
ON_CPU = PackConfig(device="cpu")


@pytest.fixture
def runs_of(tmp_path):
    """Return the runs of a study that trains by a loss."""

    def read(loss):
        (tmp_path / "comparing.py").write_text(CODE)
        (tmp_path / "study.toml").write_text(STUDY.format(loss=loss))
        return list(load_study(tmp_path / "study.toml").runs())

    return read


def test_it_is_refused_unless_it_says_so(runs_of):
    with pytest.raises(ModelError, match=r"by itself.*contrast\.compares_samples = True"):
        train_pack(runs_of("contrast"), ON_CPU)


def test_it_may_not_hold_runs_against_each_other(runs_of):
    with pytest.raises(ModelError, match="loss of each run by itself.*every axis but the first"):
        train_pack(runs_of("across_runs"), ON_CPU)


def test_it_is_measured_in_batches_of_the_training(runs_of):
    found = train_pack(runs_of("size"), ON_CPU).runs
    assert found["train_loss"].tolist() == [4.0] * 3
    # Ten test samples are batches of 4, 4 and 2.
    np.testing.assert_allclose(found["test_loss"], (4 * 4 + 4 * 4 + 2 * 2) / 10)
    assert np.isnan(found["trivial_loss"]).all()


def test_a_run_in_a_pack_is_the_run_alone(runs_of):
    runs = runs_of("declared")
    packed = train_pack(runs, ON_CPU).runs
    assert len(set(packed["test_loss"].tolist())) == 3
    for place, run in enumerate(runs):
        alone = train_pack([run], ON_CPU).runs
        for name in ("train_loss", "test_loss", "grad_norm"):
            np.testing.assert_allclose(alone[name][0], packed[name][place], rtol=1e-6)
