"""Modules of convolutions as users write them: those that the kernels know, and others.

Inputs are one channel of 6 x 6 pixels, outputs two (`sample_modules.Pictures`).
"""

import torch
from torch import nn
from torch.nn import functional


class Base(nn.Module):
    """A readout of the means over pixels."""

    def __init__(self, channels):
        super().__init__()
        self.readout = nn.Linear(channels, 2)

    def out(self, x):
        return self.readout(x.mean((2, 3)))


class Odd(Base):
    """Odd channels, even pixels and poolings that overlap or leave pixels out."""

    def __init__(self):
        super().__init__(7)
        self.first = nn.Conv2d(1, 5, 5, padding=2)
        self.norm = nn.BatchNorm2d(5, eps=1e-3, momentum=0.3)
        self.second = nn.Conv2d(5, 6, (3, 3), stride=(2, 2), padding=1, bias=False)
        self.third = nn.Conv2d(6, 7, 1)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.pieces = nn.AvgPool2d(2)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = self.pieces(self.pool(functional.gelu(self.second(x))))
        return self.out(torch.tanh(self.third(x)))


class Grown(Base):
    """Group norms before convolutions, a sum of three, and no bias in the readout."""

    def __init__(self):
        super().__init__(6)
        self.stem = nn.Conv2d(1, 6, 3)
        self.norms = nn.ModuleList([nn.GroupNorm(3, 6), nn.GroupNorm(1, 6, eps=1e-3)])
        self.layers = nn.ModuleList([nn.Conv2d(6, 6, 3, padding=1) for _ in range(2)])
        self.act = nn.SiLU()
        self.last = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())
        self.readout = nn.Linear(6, 2, bias=False)

    def forward(self, x):
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(self.act(norm(x))) + x
        return self.readout(self.last(x))


class Before(Base):
    """Batch norms before convolutions, the first of the inputs themselves."""

    def __init__(self):
        super().__init__(4)
        self.inputs = nn.BatchNorm2d(1)
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.layer = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        kept = self.stem(self.inputs(x))
        x = self.layer(self.act(self.norm(kept)))
        x += kept
        return self.out(functional.silu(x))


class TwoFaced(Base):
    """It does more in evaluation than in training, which following it does not show."""

    def __init__(self):
        super().__init__(3)
        self.layer = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        x = torch.relu(self.layer(x))
        return self.out(x if self.training else x + x)


class Wide(Base):
    """A convolution of more channels than the kernels are faster with."""

    def __init__(self):
        super().__init__(65)
        self.layer = nn.Conv2d(1, 65, 3)

    def forward(self, x):
        return self.out(torch.relu(self.layer(x)))


class Grouped(Base):
    """A convolution in groups."""

    def __init__(self):
        super().__init__(4)
        self.first = nn.Conv2d(1, 4, 3)
        self.second = nn.Conv2d(4, 4, 3, groups=2)

    def forward(self, x):
        return self.out(self.second(self.first(x)))


class Twice(Base):
    """A layer that is called twice."""

    def __init__(self):
        super().__init__(1)
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return self.out(self.layer(torch.relu(self.layer(x))))


class Shared(Base):
    """In-place activation of what is added later on."""

    def __init__(self):
        super().__init__(3)
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        return self.out(self.second(functional.relu(x, inplace=True)) + x)


class Sigmoid(Base):
    """An activation that the kernels do not have."""

    def __init__(self):
        super().__init__(3)
        self.layer = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        return self.out(torch.sigmoid(self.layer(x)))


class Frozen(Base):
    """A kernel that is not trained."""

    def __init__(self):
        super().__init__(3)
        self.layer = nn.Conv2d(1, 3, 3)
        self.layer.weight.requires_grad_(False)

    def forward(self, x):
        return self.out(self.layer(x))


class Flat(nn.Module):
    """A readout of all pixels."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 3)
        self.readout = nn.Linear(48, 2)

    def forward(self, x):
        return self.readout(torch.flatten(self.layer(x), 1))
