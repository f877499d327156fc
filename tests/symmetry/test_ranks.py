import math

import pytest
import torch

from symstudy.measures import MEASURES
from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.symmetry.ranks import effective_rank, singular_values, threshold_rank


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_singular_values_are_torchs(shape):
    a = torch.randn(3, *shape, dtype=torch.float64)
    torch.testing.assert_close(singular_values(a), torch.linalg.svdvals(a))


def test_effective_rank_counts_equal_directions():
    values = torch.tensor([[2.0, 2.0, 2.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(effective_rank(values), torch.tensor([3.0, 1.0, 0.0]))


def test_effective_rank_is_the_exponential_of_the_entropy():
    values = torch.tensor([[3.0, 1.0]])
    shares = [0.9, 0.1]
    expected = math.exp(-sum(p * math.log(p) for p in shares))
    torch.testing.assert_close(effective_rank(values), torch.tensor([expected]))


def test_threshold_rank_counts_relative_to_the_largest():
    values = torch.tensor([[10.0, 1.0, 0.11, 0.09, 0.0]])
    assert threshold_rank(values, 0.01).item() == 3


def test_product_rank_is_that_of_a_planted_linear_pair():
    model = Fcn([6, 8, 5], "linear", bias=False)
    left, right = torch.randn(5, 3).double(), torch.randn(3, 6).double()
    mix = torch.randn(8, 3).double()
    w1 = mix @ right
    w2 = left @ torch.linalg.pinv(mix)
    theta = torch.cat([w1.flatten(), w2.flatten()])[None]
    view = LayerView(model.layout, model.layout.groups[0], theta, torch.randn(1, 20, 8).double())
    assert measure_layer(view)["product_rank"].item() == 3
    assert measure_layer(view)["weight_rank"].item() == 3


@pytest.mark.parametrize("sizes", [[9, 4, 7], [3, 4, 7], [9, 4, 2], [2, 4, 3]])
def test_singular_values_of_a_product_are_torchs_whatever_side_is_longer(sizes):
    model = Fcn(sizes, "linear", bias=True)
    theta = torch.randn(2, model.layout.size, dtype=torch.float64)
    view = LayerView(model.layout, model.layout.groups[0], theta, None)
    first, last = (model.layout.block(f"layers.{i}.weight") for i in (0, 1))
    product = torch.stack([
        row[last.offset : last.stop].reshape(last.shape)
        @ row[first.offset : first.stop].reshape(first.shape)
        for row in theta
    ])  # fmt: skip
    expected = torch.linalg.svdvals(product)[:, :4]
    torch.testing.assert_close(view.product_values_KR, expected, atol=1e-7, rtol=1e-7)
    assert view.product_values_KR.shape[1] == min(sizes)


def test_every_measure_of_the_catalogue_is_computed():
    model = Fcn([3, 4, 2], "tanh")
    theta = torch.randn(2, model.layout.size)
    measures = measure_layer(
        LayerView(model.layout, model.layout.groups[0], theta, torch.randn(2, 5, 4))
    )
    assert list(measures) == [measure.name for measure in MEASURES]
