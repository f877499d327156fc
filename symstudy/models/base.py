"""The contract of a model that is trained in packs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.kernels.encoder import Encoder
from symstudy.layout import Layout
from symstudy.models.initial_states import copy_neurons, share_rank
from symstudy.models.stacks import DenseStack, ImageStack
from symstudy.streams import Stream
from symstudy.width_rules import initial_deviations

__all__ = [
    "NO_BUFFERS",
    "AbstractModel",
    "Buffers",
    "Forward",
    "LastLayer",
    "ModuleFacts",
    "TrainingStep",
    "normal_parameters",
    "split_parameters",
]


Buffers = Mapping[str, Tensor]
"""What runs hold beside their parameters and no gradient moves, `[runs, ...]`, by name."""
NO_BUFFERS: Buffers = MappingProxyType({})
"""Of a model whose runs are their parameters alone."""


class LastLayer(NamedTuple):
    """The linear layer that makes a network's outputs, output = W h + b, with what it reads.

    Attributes:
        features_KBF: Its inputs h, the features of each sample.
        weight_KOF: Its weights W.
        bias_KO: Its biases b; None without.
    """

    features_KBF: Float[Tensor, "runs batch features"]
    weight_KOF: Float[Tensor, "runs outputs features"]
    bias_KO: Float[Tensor, "runs outputs"] | None = None


class Forward(NamedTuple):
    """Result of a forward pass of a pack of networks.

    Attributes:
        output_KBO: Outputs; NaN for a model that does not predict the targets.
        hidden: Activations `[runs, batch, neurons]` of each neuron group of the network's
            layout, by name.
        returned: What the loss is given where that is not `output_KBO`: a tensor of another shape,
            or a tuple or dict of tensors, each with a leading run axis.
        buffers: The runs' buffers as a training step leaves them.
        preactivations: What `hidden` is taken of, in its shape, where the model tells.
        last: The last layer in evaluation; None where the model does not tell it.
    """

    output_KBO: Float[Tensor, "runs batch outputs"]
    hidden: dict[str, Float[Tensor, "runs batch neurons"]]
    returned: Any = None
    buffers: Buffers = NO_BUFFERS
    preactivations: Mapping[str, Tensor] = MappingProxyType({})
    last: LastLayer | None = None

    @property
    def for_loss(self) -> Any:
        """What the loss is given."""
        return self.output_KBO if self.returned is None else self.returned


class TrainingStep(NamedTuple):
    """The runs and the step of a forward pass in training: what dropout is drawn from.

    Attributes:
        seeds: Seed of each run.
        step: Optimiser steps taken so far.
    """

    seeds: tuple[int, ...]
    step: int


class ModuleFacts(NamedTuple):
    """What a user is told of a module of their own before it is trained.

    Attributes:
        call: How it is built.
        returns: Shapes of what `forward` returns.
        frozen: Number of parameters that are not trained.
        shared: Numbers in buffers that all runs share.
        own: Numbers in buffers and frozen parameters that are each run's own.
        own_names: Their names.
        reason: Why the runs of a pack go one by one in training; empty if they do not.
        measured: What is measured in its hidden layers, or why nothing is.
    """

    call: str
    returns: str
    frozen: int
    shared: int
    own: int
    own_names: tuple[str, ...]
    reason: str
    measured: str


class AbstractModel(ABC):
    """A network of fixed shape, evaluated for K runs at a time.

    A model holds no parameters: they come as one matrix with a flat row for each run, laid out as
    `layout` says. Every operation is batched over the leading run axis, and a run's row of a result
    depends on that run's rows of the arguments alone. Methods are pure: same arguments, same bits.
    Gradients flow through `forward`. A model may be used from several threads at once.
    """

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Where each parameter lies and which axes carry neurons."""

    @property
    def network_layout(self) -> Layout:
        """Layout of the weights that neurons are measured on: `layout`, unless reparametrised."""
        return self.layout

    def network_parameters(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs effective"]:
        """Return the weights laid out as `network_layout`: `theta_KP`, unless reparametrised."""
        return theta_KP

    @property
    @abstractmethod
    def dense(self) -> DenseStack | None:
        """The model as a stack of dense layers, or None where it is more than that."""

    @property
    def images(self) -> ImageStack:
        """The model as convolutions for the compiled kernels, or why it is none."""
        return ImageStack(None, reason="it is no module of convolutions")

    @property
    def encoder(self) -> Encoder | None:
        """The model as the compiled kernels know transformers, or None where it is no such thing.

        Its loss is not known yet.
        """
        return None

    @property
    def is_stochastic(self) -> bool:
        """Whether `training_forward` draws random numbers, as dropout does."""
        return False

    @property
    def is_stateful(self) -> bool:
        """Whether runs hold buffers of their own, as the running means of batch norm."""
        return False

    @property
    def predicts(self) -> bool:
        """Whether outputs have the targets' shape; if not, only a loss of the user's reads them."""
        return True

    @property
    def why_no_features(self) -> str:
        """Why `forward` does not tell the last layer and its inputs; empty where it does."""
        return "its kind of model does not tell what its last layer reads"

    @property
    def activations(self) -> int:
        """Numbers that a sample leaves for the backward pass; 0 where they are not counted."""
        return 0

    @property
    def facts(self) -> ModuleFacts | None:
        """What a user is told of a module of their own; None of other models."""
        return None

    @property
    def returns(self) -> str:
        """Shapes of what the loss is given, where that is more than outputs; empty elsewhere."""
        return ""

    def is_batched(self, *, training: bool) -> bool:  # noqa: ARG002  # most are batched always
        """Return whether runs go through in one batched call, or one after another."""
        return True

    def adapted(
        self,
        batch: int,  # noqa: ARG002  # only a user's own module has the choice
        device: str,  # noqa: ARG002
        vmap: Literal["auto", "always", "never"],  # noqa: ARG002
    ) -> "AbstractModel":
        """Return the model with its runs batched or one after another, as suits batch and device.

        The choice is a function of the arguments, never of time: a run goes the same way in any
        pack.

        Args:
            batch: Samples of a training step.
            device: `cpu` or `cuda`.
            vmap: `pack.vmap` of the study.

        Raises:
            LaunchError: If `vmap` asks for what cannot be.
        """
        return self

    def initial_buffers(
        self,
        seeds: Sequence[int],  # noqa: ARG002  # most have none
        dtype: torch.dtype,  # noqa: ARG002
    ) -> Buffers:
        """Return the buffers that the runs with `seeds` begin with, floating ones in `dtype`.

        A run's buffers depend on its seed alone.
        """
        return NO_BUFFERS

    def with_buffers(self, buffers: Buffers) -> "AbstractModel":  # noqa: ARG002  # most have none
        """Return the model with the buffers of the runs that it is evaluated for.

        A model that has buffers must be given them before `forward` and `training_forward`.
        """
        return self

    @abstractmethod
    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the initial parameters of the runs with `seeds`, in the type of `scales_K`.

        A run's parameters depend on its seed and scale alone.
        """

    @abstractmethod
    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return the outputs and the hidden activations for the inputs, as in evaluation."""

    def training_forward(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        x_KBI: Float[Tensor, "runs batch ..."],
        step: TrainingStep,
    ) -> Forward:
        """Return what the loss of a training step is taken of: `forward`, unless draws are made.

        A model with dropout or noise of its own draws them for each run from its seed and the step
        alone.
        """
        del step
        return self.forward(theta_KP, x_KBI)


def normal_parameters(
    layout: Layout,
    seeds: Sequence[int],
    scales_K: Float[Tensor, " runs"],
    *,
    rank: int = 0,
    copies: int = 1,
) -> Float[Tensor, "runs parameters"]:
    """Return weights of standard deviation scale / sqrt(fan-in), and biases of 0.

    Where the layout has a base network, deviations follow `symstudy.width_rules`.

    Args:
        layout: Blocks of the model.
        seeds: Seed of each run; the numbers come from its stream `initialisation`.
        scales_K: Scale of each run; its type is that of the result.
        rank: Dimensions of each hidden layer that its weights share; 0 leaves them as drawn.
        copies: Consecutive neurons that start equal.

    Returns:
        One flat row a run.
    """
    sigma_P = np.zeros(layout.size)
    for block, deviation in zip(layout.blocks, initial_deviations(layout), strict=True):
        if block.role == "weight":
            sigma_P[block.offset : block.stop] = deviation
    rows = {}
    for seed in set(seeds):
        row_P = Stream(seed, "initialisation").normal(layout.size) * sigma_P
        if rank > 0:
            row_P = share_rank(layout, row_P, seed, rank)
        if copies > 1:
            row_P = copy_neurons(layout, row_P, copies)
        rows[seed] = torch.from_numpy(row_P)
    theta_KP = torch.stack([rows[seed] for seed in seeds])
    return (theta_KP * scales_K.double()[:, None]).to(scales_K.dtype)


def split_parameters(
    layout: Layout, theta_KP: Float[Tensor, "runs parameters"]
) -> dict[str, Float[Tensor, "runs ..."]]:
    """Return each block in its shape, by name, as views of `theta_KP`.

    One split and not a slice a block: its gradient is one concatenation and not one pass a block.
    """
    pieces = torch.split(theta_KP, [block.size for block in layout.blocks], dim=1)
    return {
        block.name: piece.view(theta_KP.shape[0], *block.shape)
        for block, piece in zip(layout.blocks, pieces, strict=True)
    }
