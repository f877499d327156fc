"""Modules of dense layers as users write them: those that the kernels know, and others.

Inputs are one channel of 6 x 6 pixels, outputs two (`sample_modules.Pictures`).
"""

import torch
from torch import nn
from torch.nn import functional

from symstudy.layout import Block, Layout, NeuronGroup


class Mlp(nn.Module):
    """As it stands in tutorials: flattened by `view`, activations as functions."""

    def __init__(self, input_dim, output_dim, width=7):
        super().__init__()
        self.first = nn.Linear(input_dim, width)
        self.second = nn.Linear(width, 5, bias=False)
        self.last = nn.Linear(5, output_dim)

    def forward(self, x):
        x = x.view(x.size(0), -1)
        x = torch.relu(self.first(x))
        return self.last(torch.sin(self.second(x)))


def sequence(input_dim, output_dim):
    """A sequence with layers that do nothing, in place where torch can."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(input_dim, 6),
        nn.SiLU(inplace=True),
        nn.Dropout(0.0),
        nn.Linear(6, 6),
        nn.Identity(),
        nn.Linear(6, 6),
        nn.GELU(),
        nn.Linear(6, output_dim),
    )


class ByHand(nn.Module):
    """Weights of its own, in the order in which they are not used."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.out = nn.Parameter(torch.randn(output_dim, 4))
        self.shift = nn.Parameter(torch.randn(4))
        self.into = nn.Parameter(torch.randn(4, input_dim) / 6)

    def forward(self, x):
        hidden = torch.tanh(functional.linear(x.reshape(x.shape[0], -1), self.into, self.shift))
        return functional.linear(hidden, weight=self.out)


class Declared(nn.Module):
    """It says where its neurons are, and returns their activations."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 4, bias=False)
        self.last = nn.Linear(4, output_dim, bias=False)

    def forward(self, x):
        hidden = torch.tanh(self.first(torch.flatten(x, 1)))
        return self.last(hidden), {"hidden": hidden}

    def symstudy_layout(self):
        width, inputs = self.first.weight.shape
        outputs = len(self.last.weight)
        first = Block(
            name="first",
            shape=(width, inputs),
            offset=0,
            axes=("hidden", "input"),
            role="weight",
            fan_in=inputs,
        )
        last = Block(
            name="last",
            shape=(outputs, width),
            offset=first.stop,
            axes=("output", "hidden"),
            role="weight",
            fan_in=width,
        )
        group = NeuronGroup(name="hidden", layer=1, size=width, odd=True, homogeneous=False)
        return Layout(blocks=(first, last), groups=(group,))


class TwoFaced(Mlp):
    """It does a little more in evaluation than in training, which following does not show."""

    def forward(self, x):
        x = torch.tanh(self.first(x.flatten(1)))
        return self.last(self.second(x if self.training else 1.01 * x))


class Hooked(Mlp):
    """A hook adds to what a layer returns."""

    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.second.register_forward_hook(lambda layer, given, result: 1.01 * result)


class Gate(Mlp):
    """An activation that the kernels do not have."""

    def forward(self, x):
        return self.last(self.second(torch.sigmoid(self.first(x.flatten(1)))))


class Skip(Mlp):
    """A sum of two layers."""

    def forward(self, x):
        x = self.first(x.flatten(1))
        return self.last(self.second(torch.relu(x) + x))


class Twice(nn.Module):
    """A layer that is called twice."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 4)
        self.inner = nn.Linear(4, 4)
        self.last = nn.Linear(4, output_dim)

    def forward(self, x):
        x = torch.tanh(self.first(x.flatten(1)))
        return self.last(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class Tied(Twice):
    """Two layers with one weight."""

    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.other = nn.Linear(4, 4)
        self.other.weight = self.inner.weight

    def forward(self, x):
        x = self.inner(torch.tanh(self.first(x.flatten(1))))
        return self.last(torch.tanh(self.other(torch.tanh(x))))


class Unread(Mlp):
    """A layer that its outputs do not depend on."""

    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.spare = nn.Linear(7, 2)

    def forward(self, x):
        x = torch.relu(self.first(x.flatten(1)))
        self.spare(x)
        return self.last(self.second(x))


class Frozen(Mlp):
    """A weight that is not trained."""

    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.second.weight.requires_grad_(False)


class Activated(Mlp):
    """An activation of the outputs."""

    def forward(self, x):
        return torch.tanh(super().forward(x))


class Pixels(nn.Module):
    """Layers on rows of pixels."""

    def __init__(self, output_dim):
        super().__init__()
        self.rows = nn.Linear(6, 1)
        self.last = nn.Linear(6, output_dim)

    def forward(self, x):
        return self.last(self.rows(x).flatten(1))


class Broadcast(ByHand):
    """One bias for all neurons, which is no vector of biases."""

    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.shift = nn.Parameter(torch.randn(1))


def absolute(returned, targets):
    """A loss that the kernels do not know, a number a sample."""
    return (returned - targets).abs().sum(dim=2)
