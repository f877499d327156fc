"""Measures of a symmetry of the user's own: recorded where a model has it, else refused."""

import sys

import numpy as np
import pytest

from symstudy.errors import StudyFileError
from symstudy.symmetry import find_symmetry
from symstudy.training import train_pack

NETS = '''
from torch import nn
from symstudy.layout import Block, DeclaredSymmetry, Layout, NeuronGroup


class Odd(nn.Module):
    """One hidden layer of odd neurons, which declares the mirror."""

    def __init__(self, input_dim, output_dim, width=5):
        super().__init__()
        self.first = nn.Linear(input_dim, width, bias=False)
        self.last = nn.Linear(width, output_dim, bias=False)

    def symstudy_layout(self):
        (h, i), o = self.first.weight.shape, self.last.out_features
        w = Block(name="w", shape=(h, i), offset=0, axes=("h", "input"), role="weight", fan_in=i)
        v = Block(
            name="v", shape=(o, h), offset=h * i, axes=("output", "h"), role="weight", fan_in=h
        )
        group = NeuronGroup(name="h", layer=1, size=h, odd=True, homogeneous=False)
        mirror = DeclaredSymmetry(
            kind="MODULE:Mirror", blocks=("w",), axis="h", partners=("v",), layer=1
        )
        return Layout(blocks=(w, v), groups=(group,), symmetries=(mirror,))

    def forward(self, x):
        h = self.first(x).tanh()
        return self.last(h), {"h": h}
'''


@pytest.fixture
def nets(own, tmp_path):
    name = f"{own}_nets"
    (tmp_path / f"{name}.py").write_text(NETS.replace("MODULE", own), encoding="utf-8")
    return name


@pytest.fixture
def mirrored(nets, study_with):
    from symstudy.study import make_study

    def make(*measures):
        return make_study(
            {
                "schema": 1,
                "name": "mirrored",
                "model": {"kind": f"{nets}:Odd"},
                "data": {"kind": "teacher_student", "samples": 20, "test_samples": 20},
                "train": {"lr": 0.01, "steps": 5},
                "sweep": {"seed": 2},
                "probe": {"num": 2, "detail": 1, "measures": list(measures)},
            }
        )

    return make


def test_w10_it_is_recorded_where_the_model_declares_the_symmetry(own, mirrored):
    study = mirrored(f"{own}:Mirror.distance", f"{own}:Mirror.breaking")
    layers = train_pack(study.runs(), study.pack).layers
    np.testing.assert_allclose(layers["mirror_distance"] ** 2, layers["squared_norm"])
    assert layers["mirror_breaking"].tolist() == layers["living_neurons"].tolist()


def test_w10_it_is_refused_where_no_model_declares_the_symmetry(own, study_with):
    with pytest.raises(StudyFileError, match="'mirror_distance' reads .*declares permutation"):
        study_with([f"{own}:Mirror.distance"])


def test_a_row_of_ones_own_symmetry_is_read_from_its_source(own):
    entry = find_symmetry(f"{own}:Mirror")
    assert (entry.kind, entry.symmetric_state) == ("mirror", "u = w = 0")
    assert own not in sys.modules
