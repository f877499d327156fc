from typing import Any

import pytest
import torch

from symstudy.layout import AttentionLayer, Block, DeclaredSymmetry, Layout
from symstudy.measures import ATTENTION_MEASURES, HeadWeights, attention_measures
from symstudy.measures.attention_views import AttentionView
from symstudy.measures.compute import measure_extra
from symstudy.models.transformer.config import TransformerConfig
from symstudy.models.transformer.network import build_transformer
from symstudy.symmetry import symmetries_of
from symstudy.symmetry.double_rotation import DoubleRotation
from symstudy.symmetry.rotation import random_rotations
from symstudy.testing.symmetries import SymmetrySuite, cases_of

BASE: dict[str, Any] = {"tokens": 4, "width": 5, "head_dim": 3}
MODELS: dict[str, dict[str, Any]] = {
    "bare": {"bias": False},
    "heads and biases": {"heads": 2, "width": 6},
    "vision": {"heads": 2, "mlp_width": 5, "norm": "layernorm", "positions": True, "pool": "mean"},
    "relu": {"mlp_width": 4, "activation": "relu", "layers": 1},
}
CASES = [
    case
    for options in MODELS.values()
    for case in cases_of(build_transformer(TransformerConfig(**{**BASE, **options}), 12, 3), 12)
]


class TestTransformers(SymmetrySuite):
    """What transformers declare: heads, neurons, residual stream and logits."""

    @pytest.fixture(params=CASES, ids=str)
    def case(self, request):
        return request.param


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def planted(ranks, size=8, rows=11):
    """Return heads whose products have these ranks, at random scales."""
    sides = []
    for side, (first, second) in enumerate(((0, 1), (2, 3))):
        pair = []
        for place in (first, second):
            heads = []
            for head, rank in enumerate(ranks[side]):
                basis = random_rotations(1, size, torch.Generator().manual_seed(head))[0, :, :rank]
                heads.append(basis @ normal(rank, rows, seed=10 * place + head))
            pair.append(torch.stack(heads)[None])
        sides += pair
    return HeadWeights(*sides)


def test_the_degree_is_the_rank_summed_over_heads():
    measures = attention_measures(planted([(3, 5), (1, 8)]))
    assert list(measures) == [measure.name for measure in ATTENTION_MEASURES]
    assert measures["head_directions"].item() == 2 * 8
    assert measures["query_key_breaking"].item() == 3 + 5
    assert measures["value_output_breaking"].item() == 1 + 8
    assert 2.0 <= measures["query_key_effective_rank"].item() <= 8.0


def test_ranks_of_known_singular_values():
    # One head whose product is diagonal: 4, 2, 2, 0.
    query = torch.diag(torch.tensor([2.0, 1.0, 1.0, 0.0]))[None, None]
    key = torch.diag(torch.tensor([2.0, 2.0, 2.0, 5.0]))[None, None]
    measures = attention_measures(HeadWeights(query, key, query, key))
    assert measures["query_key_breaking"].item() == 3
    assert measures["query_key_largest"].item() == pytest.approx(4.0)
    assert measures["query_key_stable_rank"].item() == pytest.approx((16 + 4 + 4) / 16)
    entropy = 0.5 * torch.tensor(2.0).log() + 2 * 0.25 * torch.tensor(4.0).log()
    assert measures["query_key_effective_rank"].item() == pytest.approx(entropy.exp().item())


def test_a_head_of_which_nothing_is_left_is_symmetric():
    weights = planted([(3, 5), (1, 8)])
    faint = weights._replace(
        query_KHND=weights.query_KHND * torch.tensor([1.0, 1e-12])[:, None, None]
    )
    before, after = attention_measures(weights), attention_measures(faint)
    assert after["query_key_breaking"].item() == 3
    for name in ("query_key_effective_rank", "query_key_stable_rank"):
        assert 1.0 <= after[name].item() <= before[name].item() - 1.0


def test_measures_are_the_same_in_every_gauge():
    weights = planted([(3, 5), (1, 8)])
    a = random_rotations(2, 8, torch.Generator().manual_seed(3)) * torch.logspace(-1, 1, 8)
    turned = HeadWeights(
        a @ weights.query_KHND,
        torch.linalg.inv(a).transpose(1, 2) @ weights.key_KHND,
        a @ weights.value_KHND,
        torch.linalg.inv(a).transpose(1, 2) @ weights.output_KHND,
    )
    before, after = attention_measures(weights), attention_measures(turned)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("heads", [1, 3])
def test_a_layer_of_a_model_is_measured_as_its_declared_symmetries(heads):
    model = build_transformer(TransformerConfig(tokens=4, width=9, head_dim=4, heads=heads), 12, 1)
    theta = normal(5, model.layout.size)
    for attention in model.layout.attention:
        view = AttentionView(model.layout, attention, theta)
        measures = attention_measures(view.weights)
        assert (measures["head_directions"] == 4 * heads).all()
        products = [
            symmetry.values(theta)
            for symmetry in symmetries_of(model.layout)
            if isinstance(symmetry, DoubleRotation) and symmetry.declared.layer == view.layer
        ]
        largest = torch.stack(products)[::2].amax(dim=(0, 2))
        torch.testing.assert_close(measures["query_key_largest"], largest)
        both = measures["query_key_breaking"] + measures["value_output_breaking"]
        extra = measure_extra(view, ["double_rotation_breaking", "stable_rank"])
        assert torch.equal(extra["double_rotation_breaking"], both)
        assert "stable_rank" not in extra


def test_a_query_bias_counts_as_one_more_row():
    model = build_transformer(TransformerConfig(tokens=4, width=3, head_dim=6, layers=1), 12, 1)
    theta = normal(1, model.layout.size)
    weights = AttentionView(model.layout, model.layout.attention[0], theta).weights
    assert weights.query_KHND.shape == (1, 1, 6, 4)
    assert weights.key_KHND.shape == (1, 1, 6, 3)
    item = model.layout.block("attention0.query.bias")
    assert torch.equal(weights.query_KHND[0, 0, :, 3], theta[0, item.offset : item.stop])


W = Block(name="w", shape=(2, 3, 4), offset=0, axes=("h", "k", "m"), role="weight", fan_in=4)
V = Block(name="v", shape=(3, 4), offset=24, axes=("k", "m"), role="weight", fan_in=4)
HEADS: dict[str, Any] = {"layer": 1, "heads": "h", "key": "k", "value": "k"}


@pytest.mark.parametrize(
    ("blocks", "message"),
    [(("w", "u"), "has blocks of the layout, not u"), (("w", "v"), "v has the axes k and h once")],
)
def test_an_attention_layer_that_does_not_fit_is_refused(blocks, message):
    names: dict[str, Any] = dict.fromkeys(
        ("query_blocks", "key_blocks", "value_blocks", "output_blocks"), blocks
    )
    with pytest.raises(AssertionError, match=message):
        Layout(blocks=(W, V), attention=(AttentionLayer(**HEADS, **names),))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"within": "m", "place": 4}, "has a place along m"),
        ({"within": "x"}, "finds x once in each block"),
    ],
)
def test_a_symmetry_within_what_is_not_there_is_refused(wrong, message):
    declared = DeclaredSymmetry(kind="permutation", blocks=("w",), axis="k", **wrong)
    with pytest.raises(AssertionError, match=message):
        Layout(blocks=(W, V), symmetries=(declared,))
