"""Layouts of modules that declare none, such as networks with the structure of public ones."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.symmetry.derivation import capture_hidden, derive

public = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("public_models.py"))))


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def derived(make, *shape, integers=0):
    torch.manual_seed(0)
    inputs = torch.randint(integers, shape) if integers else normal(*shape)
    return derive(make(), inputs)


def groups_of(found):
    return {each.name: each.size for each in found.layout.groups}


def kinds_along(found, axis):
    return {each.kind for each in found.symmetries if each.parts[0].axis == axis}


def test_convolutions_flattened_into_dense_layers_have_channels():
    found = derived(public.LeNet, 2, 1, 12, 12)
    assert groups_of(found) == {"conv1": 3, "conv2": 4, "fc1": 8, "fc2": 6}
    assert all(group.odd and not group.homogeneous for group in found.layout.groups)
    # The first dense layer reads 4 channels of 2 x 2 positions.
    assert found.layout.block("fc1.weight").shape == (8, 4, 2, 2)
    assert not found.refusals


def test_a_residual_stage_of_a_resnet_is_one_group_and_its_normalised_weights_may_be_scaled():
    found = derived(lambda: public.ResNet18(width=2, stages=2), 3, 3, 12, 12)
    sizes = groups_of(found)
    assert list(sizes.values()) == [2, 2, 2, 4, 4, 4]
    stream = found.layout.groups[0]
    blocks = {block.name for block in found.layout.incoming(stream)}
    assert {"conv1.weight", "layers.0.0.bn2.bias", "layers.0.1.conv2.weight"} <= blocks
    assert all(group.homogeneous and not group.odd for group in found.layout.groups)
    scaled = {each.parts[0].blocks for each in found.symmetries if each.kind == "scaling"}
    convolutions = {(block.name,) for block in found.layout.blocks if len(block.shape) == 4}
    assert scaled == convolutions
    # The epsilon of BatchNorm breaks the scaling of what is before it, and that alone.
    assert all(each.verdict.error < 1e-12 for each in found.symmetries if each.kind != "scaling")
    assert any(each.verdict.error > 1e-7 for each in found.symmetries)


@pytest.mark.parametrize("fused", [True, False])
def test_a_vision_transformer_has_heads_neurons_and_a_stream(fused):
    found = derived(lambda: public.Vit(fused=fused), 2, 3, 8, 8)
    assert groups_of(found) == {"blocks.0.fc1": 6, "blocks.1.fc1": 6}
    first, _ = found.layout.attention
    assert first.query_blocks == ("blocks.0.attn.qkv.weight[0]", "blocks.0.attn.qkv.bias[0]")
    assert first.key_blocks == ("blocks.0.attn.qkv.weight[1]", "blocks.0.attn.qkv.bias[1]")
    assert first.value_blocks == ("blocks.0.attn.qkv.weight[2]", "blocks.0.attn.qkv.bias[2]")
    assert first.output_blocks == ("blocks.0.attn.proj.weight",)
    assert found.layout.block("blocks.0.attn.proj.weight").shape == (8, 2, 4)
    assert kinds_along(found, "stream") == {"permutation", "rescaling", "sign_flip", "translation"}
    assert [layer.layer for layer in found.layout.hidden_layers] == [1, 2, 3, 4]
    assert not found.refusals


def test_nanogpt_has_heads_behind_a_mask_and_no_group_where_weights_are_tied():
    found = derived(public.NanoGpt, 2, 5, integers=7)
    assert groups_of(found) == {"h.0.c_fc": 24}
    (layer,) = found.layout.attention
    assert layer.query_blocks == ("h.0.attn.c_attn.weight[0]",)
    assert "permutation" in kinds_along(found, "stream")
    # The tied table both writes to the stream and reads from it: all of it may not be scaled.
    assert not any(
        "wte.weight" in each.parts[0].blocks for each in found.symmetries if each.kind == "scaling"
    )


def test_a_mixer_has_neurons_over_tokens_and_over_channels():
    found = derived(public.Mixer, 2, 3, 8, 8)
    assert groups_of(found) == {"blocks.0.tokens.0": 5, "blocks.0.channels.0": 7}
    assert "permutation" in kinds_along(found, "stream")


@pytest.mark.parametrize(("make", "name"), [(public.Kan, "layers.0"), (public.RadialKan, "first")])
def test_the_nodes_between_the_edges_of_a_kan_are_neurons(make, name):
    found = derived(make, 4, 3)
    assert groups_of(found) == {name: 5}
    assert kinds_along(found, name) == {"permutation"}
    assert found.unseen == (() if make is public.Kan else ("first",))


def test_a_transformer_layer_of_torch_is_seen_through():
    make = lambda: nn.TransformerEncoderLayer(8, 2, 6, batch_first=True)  # noqa: E731
    found = derived(make, 2, 5, 8)
    assert groups_of(found) == {"linear1": 6}
    assert len(found.layout.attention) == 1


class SwiGlu(nn.Module):
    """A gated MLP, normalised by its root mean square, without biases."""

    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(4)
        self.gate, self.up = nn.Linear(4, 6, bias=False), nn.Linear(4, 6, bias=False)
        self.down = nn.Linear(6, 3, bias=False)

    def forward(self, x):
        x = self.norm(x)
        return self.down(functional.silu(self.gate(x)) * self.up(x))


def test_a_gate_is_rescaled_on_one_side_alone():
    found = derived(SwiGlu, 3, 4)
    assert groups_of(found) == {"gate": 6}
    assert not found.layout.groups[0].homogeneous
    (rescaling,) = (each.parts[0] for each in found.symmetries if each.kind == "rescaling" and
                    each.size == 6)  # fmt: skip
    assert (rescaling.blocks, rescaling.partners) == (("up.weight",), ("down.weight",))


class Transposed(nn.Module):
    """Weights that are stored as [inputs, outputs]."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(5, 2))

    def forward(self, x):
        return torch.relu(x @ self.a) @ self.b


def test_weights_stored_the_other_way_round_give_the_same_measures():
    found = derived(Transposed, 3, 4)
    (group,) = found.layout.groups
    assert (group.incoming_blocks, group.outgoing_blocks) == (("a",), ("b",))
    model = Fcn([4, 5, 2], "relu", bias=False)
    a, b = normal(4, 5).double(), normal(5, 2).double()
    hidden = torch.relu(normal(9, 4).double() @ a)[None]
    mine = torch.cat([a.flatten(), b.flatten()])[None]
    theirs = torch.cat([a.T.flatten(), b.T.flatten()])[None]
    views = (
        LayerView(found.layout, group, mine, hidden),
        LayerView(model.layout, model.layout.groups[0], theirs, hidden),
    )
    for name, value in (measures := measure_layer(views[0])).items():
        assert torch.allclose(value, measure_layer(views[1])[name], equal_nan=True), name
    assert measures["distinct_neurons"].item() == 5


def test_measures_of_activations_that_are_not_known_are_null():
    found = derived(public.RadialKan, 4, 3)
    (group,) = found.layout.groups
    measures = measure_layer(LayerView(found.layout, group, normal(1, found.layout.size), None))
    assert measures["rank"].item() == -1
    assert measures["effective_rank"].isnan().all()
    assert measures["distinct_neurons"].item() == 5


def test_activations_are_caught_where_they_enter_a_module():
    torch.manual_seed(0)
    module, x = public.LeNet(), normal(2, 1, 12, 12)
    found = derive(module, x)
    plain = module(x)
    result, hidden = capture_hidden(module, found.captures).eval()(x)
    assert torch.equal(result, plain)
    assert {name: tuple(each.shape) for name, each in hidden.items()} == {
        "conv1": (72, 3), "conv2": (8, 4), "fc1": (2, 8), "fc2": (2, 6),
    }  # fmt: skip
    assert torch.equal(module.fc3(hidden["fc2"]), result)
    flat = hidden["conv2"].view(2, 2, 2, 4).permute(0, 3, 1, 2).flatten(1)
    assert torch.equal(torch.tanh(module.fc1(flat)), hidden["fc1"])
    # Training is left as it is.
    assert torch.equal(module.train()(x), plain)


class WithLoss(nn.Module):
    """Returns its outputs beside something else, which is None where nobody asks for it."""

    def __init__(self, beside):
        super().__init__()
        self.a, self.b, self.beside = nn.Linear(4, 5), nn.Linear(5, 2), beside

    def forward(self, x):
        return self.b(torch.tanh(self.a(x))), self.beside


def test_activations_are_told_beside_a_tensor_and_none_but_not_beside_two_tensors():
    x = normal(3, 4)
    for beside, told in ((None, True), (torch.zeros(()), False)):
        module = WithLoss(beside).eval()
        output, _ = module(x)
        found = capture_hidden(module, derive(module, x).captures)(x)
        assert torch.equal(found[0], output)
        assert isinstance(found[1], dict) == told


def test_a_module_and_torchs_generator_are_left_as_they_were():
    torch.manual_seed(0)
    module = public.ResNet18(width=2, stages=1)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    derive(module, normal(2, 3, 8, 8))
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert module.training
    assert torch.equal(torch.random.get_rng_state(), state)


class Attention(nn.Module):
    """Self-attention; queries, keys and values of a head lie beside each other, or apart."""

    def __init__(self, heads=2, *, beside=False):
        super().__init__()
        self.heads, self.beside = heads, beside
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x):
        samples, tokens, _ = x.shape
        if self.beside:
            qkv = self.qkv(x).view(samples, tokens, self.heads, 3, 4 // self.heads)
            q, k, v = (each.transpose(1, 2) for each in qkv.unbind(3))
        else:
            shape = (samples, tokens, self.heads, 4 // self.heads)
            q, k, v = (each.view(shape).transpose(1, 2) for each in self.qkv(x).chunk(3, dim=-1))
        read = functional.scaled_dot_product_attention(q, k, v)
        return self.out(read.transpose(1, 2).reshape(samples, tokens, 4))


def test_one_head_is_an_axis_of_one():
    found = derived(lambda: Attention(heads=1), 2, 5, 4)
    (layer,) = found.layout.attention
    block = found.layout.block(layer.query_blocks[0])
    assert block.length(layer.heads) == 1
    assert block.length(layer.key) == 4


def test_heads_whose_queries_and_keys_lie_beside_each_other_can_be_exchanged_alone():
    found = derived(lambda: Attention(beside=True), 2, 5, 4)
    assert not found.layout.attention
    assert any(each.kind == "permutation" and each.size == 2 for each in found.symmetries)
    assert any(each.what == "attention" for each in found.refusals)


class Telling(nn.Module):
    """Returns its activations beside its output."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        hidden = torch.relu(self.a(x))
        return self.b(hidden), {"hidden": hidden}


def test_activations_that_are_returned_are_no_outputs():
    assert groups_of(derived(Telling, 3, 4)) == {"a": 5}
