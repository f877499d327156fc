"""The distance of distinct neurons, told from copies by a gap of their merge heights."""

import math

import pytest
import torch

from symstudy.measures import MEASURES
from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn

NAMES = ("distance_gap", "gap_ratio", "copy_spread", "min_distance")


def measured(neurons):
    """Return the measures of distances of a layer with these neurons: two inputs, one output."""
    rows = torch.tensor(neurons, dtype=torch.float64)
    model = Fcn([2, len(rows), 1], "silu", bias=False)
    group = model.layout.groups[0]
    theta = torch.cat([rows[:, :2].flatten(), rows[:, 2]])[None]
    view = LayerView(model.layout, group, theta, torch.zeros(1, 4, len(rows)).double())
    assert torch.equal(view.neurons_KND[0], rows)
    return {name: measure_layer(view)[name].item() for name in NAMES}


@pytest.mark.parametrize("apart", [1e-3, 1e-2, 0.3])
def test_a_pair_of_neurons_as_far_apart_as_planted_is_measured(apart):
    # Copies of three neurons, apart by 1e-5; two of the three are `apart`. At 0.02 of the largest
    # norm the closest pair is one cluster, and the old distance is that of others.
    planted = [[1.0, 0.0, 0.0], [1.0, apart, 0.0], [0.0, 0.0, 1.0]]
    copies = [[x, y, z + 1e-5] for x, y, z in planted]
    values = measured(planted + copies)
    assert values["distance_gap"] == pytest.approx(apart, rel=2e-3)
    assert values["gap_ratio"] == pytest.approx(apart / 1e-5, rel=2e-3)
    assert values["copy_spread"] == pytest.approx(1e-5 / (2 * (1 + apart**2)) ** 0.5, rel=2e-2)
    assert (values["min_distance"] == pytest.approx(apart, rel=2e-3)) == (apart > 0.1)


def test_equal_copies_count_as_apart_by_round_off():
    values = measured([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert values["distance_gap"] == pytest.approx(2**0.5)
    # The heights are a copy's, 1e-6 at least, and the two neurons'.
    assert values["gap_ratio"] == pytest.approx(1e6, rel=1e-3)


def test_heights_all_along_have_no_gap():
    values = measured([[1.0 + 3.0**-k, 0.0, 0.0] for k in range(12)])
    assert math.isnan(values["distance_gap"])
    assert math.isnan(values["copy_spread"])
    assert 1.0 < values["gap_ratio"] < 10.0


def test_neurons_without_copies_have_no_gap():
    # Nothing tells how far apart copies would be.
    values = measured([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert math.isnan(values["distance_gap"])


def test_a_dead_layer_has_no_distance():
    values = measured([[1e-9, 0.0, 0.0], [0.0, 1e-11, 0.0], [0.0, 0.0, 1e-14]])
    assert math.isnan(values["distance_gap"])
    assert math.isnan(values["gap_ratio"])


def test_every_study_records_them():
    assert set(NAMES) <= {item.name for item in MEASURES}
