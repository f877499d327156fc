"""Architectures of which a part has no group: what is left is derived, and the rest is told."""

import torch
from torch import nn
from torch.nn import functional

from symstudy.symmetry.derivation import derive


class Attention(nn.Module):
    """Two heads over 5 tokens, with rotary positions or normalised queries and keys."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, *, rotary=False, normalised=False):
        super().__init__()
        self.embed, self.out = nn.Linear(6, 8), nn.Linear(8, 3)
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.rotary = rotary
        self.norms = nn.ModuleList([nn.RMSNorm(4), nn.RMSNorm(4)] if normalised else [])
        angles = torch.outer(torch.arange(5.0), torch.tensor([1.0, 0.1]))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def turned(self, x):
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * self.cos - b * self.sin, a * self.sin + b * self.cos], dim=-1)

    def forward(self, x):
        x = torch.tanh(self.embed(x))
        heads = (*x.shape[:2], 2, 4)
        q, k, v = (each(x).view(heads).transpose(1, 2) for each in (self.q, self.k, self.v))
        if self.norms:
            q, k = self.norms[0](q), self.norms[1](k)
        if self.rotary:
            q, k = self.turned(q), self.turned(k)
        read = functional.scaled_dot_product_attention(q, k, v)
        return self.out(read.transpose(1, 2).flatten(2))


def derived(module, *shape):
    torch.manual_seed(0)
    return derive(module, torch.randn(*shape))


def acting_on(found, block):
    return {each.kind for each in found.symmetries if block in
            (*each.parts[0].blocks, *each.parts[0].partners)}  # fmt: skip


def test_of_rotary_positions_the_values_have_gl_and_queries_and_keys_are_told():
    found = derived(Attention(rotary=True), 2, 5, 6)
    assert [group.name for group in found.layout.groups] == ["embed", "v"]
    assert "double_rotation" in acting_on(found, "v.weight")
    assert "double_rotation" not in acting_on(found, "q.weight")
    assert not found.layout.attention
    told = {each.what: each.reason for each in found.refusals}
    assert "rotary positions" in told["attention"]
    assert "q.weight" in told["q.weight.0"]


def test_normalised_queries_and_keys_have_permutations_and_signs_and_no_gl():
    found = derived(Attention(normalised=True), 2, 5, 6)
    inside = {(each.kind, each.parts[0].blocks, each.parts[0].partners) for each in
              found.symmetries if "norms.0.weight" in each.parts[0].blocks}  # fmt: skip
    assert ("rescaling", ("norms.0.weight",), ("norms.1.weight",)) in inside
    assert ("permutation", ("q.weight", "k.weight", "norms.0.weight", "norms.1.weight"), ()) in {
        (each.kind, each.parts[0].blocks, each.parts[0].partners) for each in found.symmetries
    }
    assert "double_rotation" not in acting_on(found, "q.weight")
    assert any("normalised queries" in each.reason for each in found.refusals)


class DenselyConnected(nn.Module):
    """Layers that read all that was made before them, side by side."""

    def __init__(self):
        super().__init__()
        self.stem, self.grow = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([x, self.grow(torch.relu(x))], dim=1)
        return self.fc(torch.relu(x).mean(dim=(2, 3)))


def test_concatenated_channels_are_told_by_name():
    found = derived(DenselyConnected(), 3, 3, 6, 6)
    assert not found.layout.groups
    told = {each.what: each.reason for each in found.refusals}
    assert told["stem"] == "it is a part of an axis of fc.weight that is not its first"
    assert told["grow"] == told["stem"]
