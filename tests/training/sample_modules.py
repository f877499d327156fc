"""Modules as researchers write them, of every kind that a pack has to cope with."""

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from symstudy.components import DataShape, component
from symstudy.datasets import AbstractDatasetConfig, Task
from symstudy.datasets.base import one_hot
from symstudy.streams import Stream


def labelled(seed, inputs):
    """Return samples with two classes, told by their first inputs."""
    labels = (inputs[:, :3].sum(axis=1) > np.median(inputs[:, :3].sum(axis=1))).astype(int)
    targets = one_hot(labels, 2)
    return Task(
        seed=seed,
        is_classification=True,
        x_train=inputs[:32],
        y_train=targets[:32],
        x_test=inputs[32:],
        y_test=targets[32:],
    )


@component
class Pictures(AbstractDatasetConfig):
    """Pictures of one channel, six rows and six columns."""

    @property
    def shape(self):
        return DataShape(36, 2, 32, 16, is_classification=True, input_shape=(1, 6, 6))

    def build(self, seed):
        return labelled(seed, Stream(seed, "pictures").normal(48, 36))


@component
class Tokens(AbstractDatasetConfig):
    """Sequences of nine tokens out of a vocabulary of 17."""

    @property
    def shape(self):
        return DataShape(9, 2, 32, 16, is_classification=True, input_shape=(9,), is_integer=True)

    def build(self, seed):
        tokens = Stream(seed, "tokens").integers(17, 48 * 9).reshape(48, 9)
        return labelled(seed, tokens.astype(np.float64))


class Residual(nn.Module):
    """A small ResNet: convolutions and batch norm, running means a run each."""

    def __init__(self, channels, num_classes, width=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.last = nn.Linear(width, num_classes)

    def forward(self, x):
        h = torch.relu(self.norms[0](self.stem(x)))
        inner = torch.relu(self.norms[1](self.convs[0](h)))
        h = torch.relu(h + self.norms[2](self.convs[1](inner)))
        return self.last(h.mean(dim=(2, 3)))


class Recurrent(nn.Module):
    """An LSTM, which vmap does not know."""

    def __init__(self, input_shape, output_dim):
        super().__init__()
        self.cell = nn.LSTM(input_shape[-1], 4, batch_first=True)
        self.last = nn.Linear(4, output_dim)

    def forward(self, x):
        return self.last(self.cell(x.flatten(1, 2))[0][:, -1])


class Config:
    """What a model's constructor takes as one object."""

    def __init__(self, vocabulary, width, length, outputs):
        self.vocabulary, self.width, self.length, self.outputs = vocabulary, width, length, outputs


class Gpt(nn.Module):
    """Token and position embeddings, masked attention, and a readout of the mean."""

    mask: torch.Tensor

    def __init__(self, config):
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.place = nn.Embedding(config.length, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.attention = nn.Linear(config.width, 3 * config.width)
        self.last = nn.Linear(config.width, config.outputs)
        mask = torch.tril(torch.ones(config.length, config.length, dtype=torch.bool))
        self.register_buffer("mask", mask)

    def forward(self, tokens, targets=None):
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        query, key, value = self.attention(self.norm(x)).chunk(3, dim=2)
        scores = (query @ key.transpose(1, 2)).masked_fill(~self.mask, -torch.inf)
        return self.last((x + scores.softmax(dim=2) @ value).mean(dim=1)), targets


def gpt(input_dim, output_dim, vocabulary=17, width=6):
    """The adapter: from keys of [model] to the config object."""
    return Gpt(Config(vocabulary, width, input_dim, output_dim))


class Spectral(nn.Module):
    """Spectral norm, whose power iteration goes on in training."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = parametrizations.spectral_norm(nn.Linear(input_dim, 6))
        self.last = nn.Linear(6, output_dim)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x.flatten(1))))


class WeightNormed(nn.Module):
    """Weight norm: a direction and a length a row."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = parametrizations.weight_norm(nn.Linear(input_dim, 6))
        self.last = nn.Linear(6, output_dim)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x.flatten(1))))


class Tied(nn.Module):
    """An autoencoder whose decoder is the encoder's weight, and a head."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.encoder = nn.Linear(input_dim, 5, bias=False)
        self.decoder = nn.Linear(input_dim, 5, bias=False)
        self.decoder.weight = self.encoder.weight
        self.last = nn.Linear(input_dim, output_dim)

    def forward(self, x):
        code = torch.tanh(self.encoder(x.flatten(1)))
        return self.last(nn.functional.linear(code, self.decoder.weight.T))


class TwoHeads(nn.Module):
    """A dict: a prediction, and a reconstruction that only a loss of the user's own reads."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.body = nn.Linear(input_dim, 5)
        self.head = nn.Linear(5, output_dim)
        self.decoder = nn.Linear(5, input_dim)

    def forward(self, x):
        x = x.flatten(1)
        code = torch.tanh(self.body(x))
        return {"logits": self.head(code), "error": (self.decoder(code) - x).square()}


class TokenLogits(nn.Module):
    """A tensor [samples, outputs, 2] that is no prediction of the targets' shape."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.last = nn.Linear(input_dim, 2 * output_dim)
        self.outputs = output_dim

    def forward(self, x):
        return self.last(x.flatten(1)).view(-1, self.outputs, 2)


class Kan(nn.Module):
    """Sums of learned functions on a grid of radial bases, a constant buffer."""

    grid: torch.Tensor

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Parameter(0.1 * torch.randn(4, input_dim, 5))
        self.last = nn.Parameter(0.1 * torch.randn(4, 5, output_dim))
        self.register_buffer("grid", torch.linspace(-1, 1, 4))

    def layer(self, x, weight):
        bases = torch.exp(-((x[:, None] - self.grid[:, None]) ** 2))
        return torch.einsum("bgi,gio->bo", bases, weight)

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(x.flatten(1), self.first)), self.last)


class Dropped(nn.Module):
    """Batch norm and dropout, drawn from the run's seed."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 6, bias=False)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(6, output_dim)

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.norm(self.first(x.flatten(1))))))


class Branching(nn.Module):
    """An `if` on the data, and a block that is run again in the backward pass."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 6)
        self.last = nn.Linear(6, output_dim)

    def forward(self, x):
        hidden = checkpoint(self.block, x.flatten(1), use_reentrant=False)
        return self.last(hidden if hidden.mean() > 0 else -hidden)

    def block(self, x):
        return torch.tanh(self.first(x))


class Averaging(nn.Module):
    """A buffer that is assigned anew, and one that differs between seeds."""

    mean: torch.Tensor
    steps: torch.Tensor

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.register_buffer("mean", torch.zeros(input_dim))
        self.register_buffer("features", torch.randn(input_dim, 5))
        self.register_buffer("steps", torch.tensor(0))
        self.last = nn.Linear(5, output_dim)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(dim=0)
            self.steps += 1
        return self.last(torch.tanh((x - self.mean) @ self.features))


class Gaps(nn.Module):
    """A module that cannot be built for one of its widths."""

    def __init__(self, input_dim, output_dim, width):
        super().__init__()
        if width == 5:
            raise ValueError("there is no width of five")
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(input_dim, width), nn.Tanh(), nn.Linear(width, output_dim)
        )

    def forward(self, x):
        return self.layers(x)


def reconstructing(returned, targets):
    """A loss that picks what it needs out of a dict."""
    error = (returned["logits"] - targets).square().sum(dim=2)
    return error + 0.1 * returned["error"].mean(dim=2)


def of_pairs(returned, targets):
    """A loss of a tensor of another shape than the targets."""
    return (returned.logsumexp(dim=3) - targets).square().sum(dim=2)


def summed(returned, targets):
    """A loss that has lost its samples."""
    return (returned.logsumexp(dim=3) - targets).square().sum(dim=(1, 2))
