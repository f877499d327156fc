"""One module with a layout of its own and without."""

import torch
from torch import nn

from symstudy.layout import Block, Layout, NeuronGroup, neuron_symmetries


class Plain(nn.Module):
    """One hidden layer of tanh."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 6)
        self.last = nn.Linear(6, output_dim, bias=False)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class Declared(nn.Module):
    """The same, which says where its neurons are."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 6)
        self.last = nn.Linear(6, output_dim, bias=False)

    def symstudy_layout(self):
        o, i = self.last.out_features, self.first.in_features
        w = Block(name="w", shape=(6, i), offset=0, axes=("h", "input"), role="weight", fan_in=i)
        b = Block(name="b", shape=(6,), offset=w.stop, axes=("h",), role="bias", fan_in=1)
        v = Block(
            name="v", shape=(o, 6), offset=b.stop, axes=("output", "h"), role="weight", fan_in=6
        )
        group = NeuronGroup(name="h", layer=1, size=6, odd=True, homogeneous=False)
        symmetries = neuron_symmetries((w, b, v), (group,))
        return Layout(blocks=(w, b, v), groups=(group,), symmetries=symmetries)

    def forward(self, x):
        hidden = torch.tanh(self.first(x))
        return self.last(hidden), {"h": hidden}


class Bare(nn.Module):
    """A linear map: it has no hidden layer."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.map = nn.Linear(input_dim, output_dim)

    def forward(self, x):
        return self.map(x)
