import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from symstudy.components import DataShape
from symstudy.errors import ModelError
from symstudy.layout import AttentionLayer
from symstudy.models import build_model
from symstudy.models.reparametrised import Reparametrised
from symstudy.models.transformer.config import TransformerConfig
from symstudy.models.transformer.network import build_transformer

PLAIN = TransformerConfig(tokens=5, width=6, head_dim=4, bias=False)
SHAPES: dict[str, dict[str, Any]] = {
    "attention only": {},
    "biases": {"bias": True},
    "heads": {"heads": 3, "head_dim": 2, "bias": True},
    "mean": {"pool": "mean"},
    "vision": {
        "heads": 2, "mlp_width": 7, "norm": "layernorm", "positions": True, "pool": "mean",
        "bias": True,
    },
    "last of MLPs": {"mlp_width": 7, "norm": "layernorm", "activation": "tanh", "layers": 3},
}  # fmt: skip


def model_of(**options):
    return build_transformer(dataclasses.replace(PLAIN, **options), 15, 2)


def parameters(model, runs=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(runs, model.layout.size, generator=generator, dtype=torch.float64)


def inputs(runs=3, batch=4):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(runs, batch, 5, 3, generator=generator, dtype=torch.float64)


def block(model, row, name):
    """Return the block called `name` of one run, or None."""
    for item in model.layout.blocks:
        if item.name == name:
            return row[item.offset : item.stop].view(item.shape)
    return None


def linear(model, row, name, x):
    """Return what torch's own linear layer makes of `x` with the weights called `name`."""
    weight = block(model, row, f"{name}.weight")
    bias = block(model, row, f"{name}.bias")
    weight = weight.reshape(-1, x.shape[-1]) if "output" not in name else weight.flatten(1)
    return nn.functional.linear(x, weight, None if bias is None else bias.flatten())


def attention(model, row, name, x):
    """Return what `nn.MultiheadAttention` makes of `x`, for heads that fill its width."""
    config = model.config
    inner = config.heads * config.head_dim
    q, k, v = (linear(model, row, f"{name}.{part}", x) for part in ("query", "key", "value"))
    layer = nn.MultiheadAttention(inner, config.heads, batch_first=True, dtype=x.dtype)
    eye = torch.eye(inner, dtype=x.dtype)
    layer.in_proj_weight.data = torch.cat([eye, eye, eye])
    layer.out_proj.weight.data = eye
    for bias in (layer.in_proj_bias, layer.out_proj.bias):
        bias.data.zero_()
    return linear(model, row, f"{name}.output", layer(q, k, v)[0])


def plain_forward(model, row, x):
    """Return the outputs of one run, written out with torch's own layers."""
    config = model.config
    width = config.width

    def norm(h):
        return nn.functional.layer_norm(h, (width,), eps=0.0) if config.norm != "none" else h

    h = linear(model, row, "embed", x)
    if config.positions:
        h = h + block(model, row, "positions")
    for layer in range(config.layers):
        h = h + attention(model, row, f"attention{layer}", norm(h))
        if config.mlp_width:
            z = linear(model, row, f"mlp{layer}.in", norm(h))
            z = torch.tanh(z) if config.activation == "tanh" else nn.functional.gelu(z)
            h = h + linear(model, row, f"mlp{layer}.out", z)
    h = norm(h)
    return linear(model, row, "readout", h[:, -1] if config.pool == "last" else h.mean(dim=1))


@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
def test_each_run_computes_what_torchs_own_layers_would(options):
    model = model_of(**options)
    theta, x = parameters(model), inputs()
    output = model.forward(theta, x).output_KBO
    for run in range(3):
        expected = plain_forward(model, theta[run], x[run])
        torch.testing.assert_close(output[run], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
def test_gradients_are_those_of_torchs_own_layers(options):
    model = model_of(**options)
    theta, x = parameters(model).requires_grad_(), inputs()
    (gradient,) = torch.autograd.grad(model.forward(theta, x).output_KBO.square().sum(), theta)
    for run in range(3):
        row = theta[run].detach().requires_grad_()
        loss = plain_forward(model, row, x[run]).square().sum()
        (expected,) = torch.autograd.grad(loss, row)
        torch.testing.assert_close(gradient[run], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_in_a_pack_computes_what_it_does_alone(dtype):
    model = model_of(**SHAPES["vision"])
    theta, x = parameters(model, 9).to(dtype), inputs(9).to(dtype)
    together = model.forward(theta, x).output_KBO
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for run in (0, 4, 8):
        alone = model.forward(theta[run : run + 1], x[run : run + 1]).output_KBO[0]
        torch.testing.assert_close(together[run], alone, rtol=tolerance, atol=tolerance)


def test_flat_inputs_are_cut_into_tokens():
    model = model_of()
    theta, x = parameters(model), inputs()
    flat = model.forward(theta, x.flatten(2)).output_KBO
    torch.testing.assert_close(flat, model.forward(theta, x).output_KBO, rtol=0, atol=0)


def test_without_positions_the_order_of_the_other_tokens_does_not_matter():
    model, placed = model_of(), model_of(positions=True)
    x = inputs()
    swapped = x[:, :, [2, 0, 1, 3, 4]]
    for this, is_blind in ((model, True), (placed, False)):
        theta = parameters(this)
        before, after = (this.forward(theta, z).output_KBO for z in (x, swapped))
        assert torch.allclose(before, after, atol=1e-10) == is_blind


def test_layers_are_numbered_in_depth():
    layout = model_of(**SHAPES["vision"]).layout
    numbers = [(layer.layer, isinstance(layer, AttentionLayer)) for layer in layout.hidden_layers]
    assert numbers == [(1, True), (2, False), (3, True), (4, False)]
    (first, _) = layout.groups
    assert [item.name for item in layout.incoming(first)] == ["mlp0.in.weight", "mlp0.in.bias"]
    assert [item.name for item in layout.outgoing(first)] == ["mlp0.out.weight"]


def test_activations_of_the_mlps_come_with_a_row_a_token():
    model = model_of(**SHAPES["vision"])
    forward = model.forward(parameters(model), inputs())
    assert {name: tuple(h.shape) for name, h in forward.hidden.items()} == {
        "mlp0": (3, 4 * 5, 7),
        "mlp1": (3, 4 * 5, 7),
    }


def test_initial_weights_scale_with_fan_in():
    model = build_transformer(TransformerConfig(tokens=2, width=200, head_dim=50, heads=4), 20, 3)
    theta = model.initialise([0, 1], torch.tensor([1.0, 0.1], dtype=torch.float64))
    for name, fan_in in (("attention0.query.weight", 200), ("attention1.output.weight", 200)):
        item = model.layout.block(name)
        spread = theta[:, item.offset : item.stop].std(dim=1) * fan_in**0.5
        torch.testing.assert_close(spread, torch.tensor([1.0, 0.1]).double(), rtol=0.02, atol=0)


def test_a_factored_transformer_computes_with_the_products():
    base = model_of(**SHAPES["heads"])
    model = Reparametrised(base, "factorised")
    theta, x = parameters(model), inputs()
    products = model.network_parameters(theta)
    expected = base.forward(products, x).output_KBO
    torch.testing.assert_close(model.forward(theta, x).output_KBO, expected)


def test_tokens_come_from_the_data_unless_they_are_given():
    config = TransformerConfig(width=4, head_dim=2)
    data = DataShape(12, 1, 10, 10, is_classification=False, tokens=4)
    assert build_model(config, data).layout.block("embed.weight").shape == (4, 3)
    given = dataclasses.replace(config, tokens=2)
    assert build_model(given, data).layout.block("embed.weight").shape == (4, 6)


@pytest.mark.parametrize(("tokens", "given"), [(0, "none of the two"), (5, "5 tokens")])
def test_inputs_that_are_no_tokens_are_refused(tokens, given):
    with pytest.raises(ModelError, match=f"12 inputs and {given}"):
        build_transformer(TransformerConfig(tokens=tokens), 12, 1)
