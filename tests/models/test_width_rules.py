"""Initial weights and learning rates by width: Table 3 of arXiv:2203.03466, block by block."""

from typing import Any

import pytest
import torch

from symstudy.components import DataShape
from symstudy.layout import Block, Layout
from symstudy.models import build_model
from symstudy.models.deep_linear.config import DeepLinearConfig
from symstudy.models.fcn.config import FcnConfig
from symstudy.models.transformer.config import TransformerConfig
from symstudy.models.transformer.network import build_transformer
from symstudy.optimizers.muon import Muon
from symstudy.width_rules import initial_deviations, rate_factors

SHAPE = DataShape(12, 2, 10, 10, is_classification=False)
MUP: dict[str, Any] = {"parametrization": "mup"}
DENSE = FcnConfig(depth=3, width=256, base_width=64, **MUP)
"""Four times as wide as its base."""
ATTENTION = TransformerConfig(
    layers=1, tokens=3, positions=True, **MUP,
    width=64, base_width=16, heads=2, base_heads=2, head_dim=32, base_head_dim=16,
    mlp_width=48, base_mlp_width=48,
)  # fmt: skip
"""Four times as wide, with heads of twice the size, and an MLP that does not grow."""


def by_name(config, values_of):
    """Return a number for each block of a model, without `layers.` and `.weight`."""
    layout = build_model(config, SHAPE).layout
    names = [block.name.removeprefix("layers.").removesuffix(".weight") for block in layout.blocks]
    return dict(zip(names, values_of(layout), strict=True))


def test_a_dense_network_has_the_learning_rates_of_the_table():
    sgd = by_name(DENSE, lambda layout: rate_factors(layout, "proportional"))
    adam = by_name(DENSE, lambda layout: rate_factors(layout, "normalised"))
    assert sgd == {"0": 4, "0.bias": 4, "1": 1, "1.bias": 4, "2": 0.25, "2.bias": 1}
    assert adam == {"0": 1, "0.bias": 1, "1": 0.25, "1.bias": 1, "2": 0.25, "2.bias": 1}


def test_initial_variances_of_the_output_alone_fall_faster_than_fan_in():
    theta = build_model(DENSE, SHAPE).initialise(range(20), torch.ones(20).double())
    first, second, third = (
        theta[:, block.offset : block.stop].var()
        for block in build_model(DENSE, SHAPE).layout.blocks[::2]
    )
    assert first * 12 == pytest.approx(1, rel=0.05)
    assert second * 256 == pytest.approx(1, rel=0.05)
    assert third * 256 == pytest.approx(1 / 4, rel=0.05)


def test_each_block_of_a_transformer_goes_by_what_grows_there():
    sgd = by_name(ATTENTION, lambda layout: rate_factors(layout, "proportional"))
    adam = by_name(ATTENTION, lambda layout: rate_factors(layout, "normalised"))
    assert sgd == {
        "embed": 4, "embed.bias": 4, "positions": 4,
        "attention0.query": 0.5, "attention0.query.bias": 2, "attention0.key": 0.5,
        "attention0.value": 0.5, "attention0.output": 2, "attention0.output.bias": 4,
        "mlp0.in": 0.25, "mlp0.in.bias": 1, "mlp0.out": 4, "mlp0.out.bias": 4,
        "readout": 0.25, "readout.bias": 1,
    }  # fmt: skip
    assert {name: factor for name, factor in adam.items() if factor != 1} == {
        "attention0.query": 0.25, "attention0.key": 0.25, "attention0.value": 0.25,
        "attention0.output": 0.5, "mlp0.in": 0.25, "readout": 0.25,
    }  # fmt: skip


def test_positions_start_at_one_scale_and_what_leaves_the_stream_falls_faster():
    found = by_name(ATTENTION, initial_deviations)
    assert found["positions"] == 16**-0.5
    assert found["attention0.query"] == 64**-0.5
    assert found["mlp0.in"] == pytest.approx((64 * 4) ** -0.5)
    assert found["mlp0.out"] == 48**-0.5
    assert found["readout"] == pytest.approx((64 * 4) ** -0.5)


@pytest.mark.parametrize("rows", [16, 64, 256])
@pytest.mark.parametrize("way", ["original", "match_rms_adamw", "none"])
def test_the_largest_singular_value_of_muons_steps_goes_with_the_root_of_outputs_over_inputs(
    way, rows
):
    def of(rows, columns):
        names = ("out", "input"), ("out",)
        return (
            Block(
                name="w", shape=(rows, columns), offset=0, axes=names[0], role="weight",
                fan_in=columns,
            ),
            Block(
                name="b", shape=(rows,), offset=rows * columns, axes=names[1], role="bias",
                fan_in=1,
            ),
        )  # fmt: skip

    layout = Layout(blocks=of(rows, 128), base=of(64, 32))
    factor, of_bias = Muon(adjust_lr=way).rate_factors(layout)
    adjusts = {
        "original": lambda a, b: max(1, a / b) ** 0.5,
        "match_rms_adamw": lambda a, b: max(a, b) ** 0.5,
        "none": lambda a, b: 1.0,
    }
    spectral = factor * adjusts[way](rows, 128) / adjusts[way](64, 32)
    assert spectral == pytest.approx(((rows / 64) / (128 / 32)) ** 0.5)
    assert of_bias == 1


@pytest.mark.parametrize("cls", [FcnConfig, DeepLinearConfig])
def test_at_the_base_width_nothing_changes(cls):
    standard, mup = (
        build_model(cls(depth=4, width=7, base_width=7, parametrization=which), SHAPE)
        for which in ("standard", "mup")
    )
    assert set(rate_factors(mup.layout, "proportional")) == {1.0}
    starts = [model.initialise([0, 1], torch.ones(2)) for model in (standard, mup)]
    assert torch.equal(*starts)


def test_logits_of_attention_are_divided_by_the_size_of_a_head():
    assert build_transformer(ATTENTION, 12, 2).logit_scale == 16**0.5 / 32
    assert build_transformer(TransformerConfig(tokens=3, head_dim=16), 12, 2).logit_scale is None


@pytest.mark.parametrize(
    ("cls", "keys", "message"),
    [
        (FcnConfig, {"width": 32}, r"base_width` must be given .* Type model.base_width=32"),
        (FcnConfig, {"base_width": 8, "reparametrise": "gate"}, "reparametrise` must be 'none'"),
        (DeepLinearConfig, {"base_width": 8, "init_balanced": True}, "init_balanced` must be fal"),
        (TransformerConfig, {"base_width": 8, "heads": 3}, r"Type model.base_heads=3 if train.lr"),
        (
            TransformerConfig,
            {"base_width": 8, "base_heads": 1, "base_head_dim": 16, "mlp_width": 5},
            "Type model.base_mlp_width=5",
        ),
    ],
)
def test_what_mup_does_not_know_is_refused(cls, keys, message):
    with pytest.raises(ValueError, match=message):
        cls(**MUP, **keys)
