"""One layer, network or run as its measures see it, with the quantities that several share.

Shapes: K runs, N neurons, H heads, D numbers of a neuron or of a direction of a head.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.layout import Layout, NeuronGroup
from symstudy.measures.attention_views import AttentionView
from symstudy.measures.backward import BackwardPass
from symstudy.measures.held_against import References
from symstudy.symmetry.base import AbstractSymmetry
from symstudy.symmetry.double_rotation import DoubleRotation
from symstudy.symmetry.neurons import (
    CopyGap,
    NeuronClusters,
    cluster_neurons,
    copy_gap,
    neuron_sides,
    reversible_numbers,
    unpack,
)
from symstudy.symmetry.ranks import singular_values
from symstudy.symmetry.registry import build_symmetry
from symstudy.symmetry.thresholds import EPSILON_ABSOLUTE, EPSILON_RELATIVE

__all__ = [
    "LayerSymmetries",
    "LayerView",
    "NetworkView",
    "RunView",
]


class LayerView:
    """One hidden layer of a pack, with the quantities that several measures need.

    Args of the constructor: the model's layout, the layer's neuron group, the flat parameters
    `[runs, parameters]` and the layer's activations `[runs, samples, neurons]`, all finite, None
    where the model does not tell them; and the way back through the networks, where there are data,
    and what the activations may be held against.
    """

    def __init__(
        self,
        layout: Layout,
        group: NeuronGroup,
        theta_KP: Float[Tensor, "runs parameters"],
        hidden_KBN: Float[Tensor, "runs batch neurons"] | None,
        backward: BackwardPass | None = None,
        references: References | None = None,
    ) -> None:
        """See the class."""
        self.layout = layout
        self.group = group
        self.backward = backward
        self.theta_KP = theta_KP.detach()
        self.given_KBN = None if hidden_KBN is None else hidden_KBN.detach()
        self.references = references or References()

    @property
    def layer(self) -> int:
        """Number of the hidden layer."""
        return self.group.layer

    @cached_property
    def sides(self) -> tuple[Tensor, Tensor]:
        """Incoming and outgoing vectors of the neurons, float64."""
        into, out = neuron_sides(self.layout, self.group, self.theta_KP)
        return into.double(), out.double()

    @cached_property
    def neurons_KND(self) -> Tensor:
        """The neurons as vectors, float64."""
        return torch.cat(self.sides, dim=2)

    @property
    def reversible(self) -> int:
        """How many of a neuron's first numbers may change sign together."""
        into, out = self.sides
        return reversible_numbers(self.group, into.shape[2], out.shape[2])

    @cached_property
    def norms_KN(self) -> Tensor:
        """Norms of the neurons."""
        norms_KN: Tensor = self.neurons_KND.norm(dim=2)
        return norms_KN

    @cached_property
    def scale_K(self) -> Tensor:
        """Norm of the largest neuron: robust where most neurons are dead."""
        return self.norms_KN.amax(dim=1)

    @cached_property
    def is_alive_K(self) -> Tensor:
        """Whether any neuron has a norm above 1e-8; of a layer that has none nothing is counted."""
        is_alive_K: Tensor = self.scale_K > EPSILON_ABSOLUTE
        return is_alive_K

    def threshold(self, epsilon: float) -> Float[Tensor, " runs"]:
        """Return `epsilon` of the largest norm; infinity, above everything, for a dead layer."""
        return torch.where(self.is_alive_K, epsilon * self.scale_K, torch.inf)

    def living(self, values_KR: Float[Tensor, "runs values"]) -> Float[Tensor, "runs values"]:
        """Return singular values, those of dead layers and of matrices below 1e-8 as 0."""
        is_alive_K = self.is_alive_K & (values_KR[:, 0] > EPSILON_ABSOLUTE)
        return torch.where(is_alive_K[:, None], values_KR, 0.0)

    @cached_property
    def clusters(self) -> NeuronClusters:
        """Clusters of the neurons, with the gap at the default threshold."""
        return cluster_neurons(
            self.neurons_KND, self.threshold(EPSILON_RELATIVE), reversible=self.reversible
        )

    @cached_property
    def gap(self) -> CopyGap:
        """The gap between copies and distinct neurons."""
        scale_K = torch.where(self.is_alive_K, self.scale_K, 0.0).cpu()
        return copy_gap(self.clusters.edges_KN, scale_K)

    @cached_property
    def weight_values_KR(self) -> Tensor:
        """Singular values of the incoming weights (without biases)."""
        weights = [
            unpack(self.theta_KP, block)
            .movedim(1 + block.axes.index(self.group.name), 1)
            .flatten(2)
            for block in self.layout.incoming(self.group)
            if len(block.shape) > 1
        ]
        return singular_values(torch.cat(weights, dim=2))

    @cached_property
    def product_values_KR(self) -> Tensor:
        """Singular values of the outgoing weights times the incoming ones (without biases).

        Of a layer narrower than both its sides, as of convolutions, the outgoing weights are
        reduced to the triangle of their thin QR first: the product has no more values than neurons.
        """
        incoming, outgoing = self.sides
        weights_KNI = incoming[:, :, : incoming.shape[2] - self.biases]
        if outgoing.shape[1] < min(outgoing.shape[2], weights_KNI.shape[2]):
            triangle_KNN: Tensor = torch.linalg.qr(outgoing.transpose(1, 2), mode="r").R
            return singular_values(triangle_KNN @ weights_KNI)
        return singular_values(outgoing.transpose(1, 2) @ weights_KNI)

    @property
    def biases(self) -> int:
        """How many numbers of a neuron's incoming side are biases."""
        return sum(len(block.shape) == 1 for block in self.layout.incoming(self.group))

    def none(self) -> Float[Tensor, " runs"]:
        """Return NaN: the number does not apply."""
        return torch.full_like(self.scale_K, torch.nan)

    def no_count(self) -> Int64[Tensor, " runs"]:
        """Return -1: the count does not apply."""
        return torch.full_like(self.scale_K, -1, dtype=torch.int64)

    @property
    def has_hidden(self) -> bool:
        """Whether the activations of the layer are known."""
        return self.given_KBN is not None

    @property
    def hidden_KBN(self) -> Float[Tensor, "runs batch neurons"]:
        """Activations of the layer; NaN, on one sample, where the model does not tell them."""
        if self.given_KBN is not None:
            return self.given_KBN
        return torch.full_like(self.norms_KN, torch.nan)[:, None]

    @cached_property
    def hidden_values_KR(self) -> Tensor:
        """Singular values of the centred activations; NaN where they are not known."""
        if not self.has_hidden:
            return torch.full_like(self.norms_KN, torch.nan)
        hidden = self.hidden_KBN.double()
        return singular_values(hidden - hidden.mean(dim=1, keepdim=True))


class LayerSymmetries:
    """The symmetries that a model declares for one hidden layer, and what several measures share.

    Several of one kind (the heads of an attention layer, say) are taken together: their distances
    as of one long vector, their counts as a sum, their singular values as of one block-diagonal
    product.
    """

    def __init__(self, view: LayerView | AttentionView) -> None:
        """Look at the layer of `view`."""
        self.view = view
        self.theta_KP = view.theta_KP.double()
        self.built: dict[str, list[AbstractSymmetry]] = {}

    def of_kind(self, kind: str) -> list[AbstractSymmetry]:
        """Return the layer's symmetries of `kind`."""
        if kind not in self.built:
            self.built[kind] = [
                build_symmetry(self.view.layout, declared)
                for declared in self.view.layout.symmetries
                if declared.kind == kind and declared.layer == self.view.layer
            ]
        return self.built[kind]

    def none(self) -> Float[Tensor, " runs"]:
        """Return NaN: the number does not apply."""
        return torch.full_like(self.theta_KP[:, 0], torch.nan)

    def no_count(self) -> Int64[Tensor, " runs"]:
        """Return -1: the count does not apply."""
        return torch.full_like(self.theta_KP[:, 0], -1, dtype=torch.int64)

    @cached_property
    def double_rotations(self) -> list[DoubleRotation]:
        """The layer's double rotations."""
        found = self.of_kind("double_rotation")
        return [symmetry for symmetry in found if isinstance(symmetry, DoubleRotation)]

    @cached_property
    def product_values(self) -> list[Float[Tensor, "runs directions"]]:
        """Singular values of the product of each double rotation."""
        return [symmetry.values(self.theta_KP) for symmetry in self.double_rotations]

    @cached_property
    def living_values(self) -> list[Float[Tensor, "runs directions"]]:
        """The same, zero where both sides of the double rotation have norms of at most 1e-8."""
        return [
            torch.where(symmetry.is_alive(self.theta_KP)[:, None], values_KN, 0.0)
            for symmetry, values_KN in zip(self.double_rotations, self.product_values, strict=True)
        ]


class NetworkView:
    """The networks of a pack at a probe, for measures of whole networks.

    Args of the constructor: the model, the flat parameters `[runs, parameters]`, a batch of inputs
    and targets for each run, and the mean loss of each run as a function of outputs and targets.

    Attributes:
        model: Evaluates all networks at once.
        theta_KP: Parameters.
        inputs_KBI: Test inputs, as many as `[probe] samples` says.
        targets_KBO: Their targets, without label noise.
    """

    def __init__(
        self,
        model: Any,
        theta_KP: Float[Tensor, "runs parameters"],
        inputs_KBI: Float[Tensor, "runs batch ..."],
        targets_KBO: Float[Tensor, "runs batch outputs"],
        loss: Callable[[Any, Tensor], Tensor],
    ) -> None:
        """See the class."""
        self.model = model
        self.theta_KP = theta_KP.detach()
        self.inputs_KBI = inputs_KBI
        self.targets_KBO = targets_KBO
        self.loss = loss

    def outputs(
        self, theta_KP: Float[Tensor, "runs parameters"] | None = None
    ) -> Float[Tensor, "runs batch outputs"]:
        """Return the networks' outputs at `theta_KP`, by default the parameters as they are."""
        at_KP = self.theta_KP if theta_KP is None else theta_KP
        outputs_KBO: Tensor = self.model.forward(at_KP, self.inputs_KBI).output_KBO
        return outputs_KBO

    def returned(self, theta_KP: Float[Tensor, "runs parameters"] | None = None) -> Any:
        """Return what the loss is given of the networks: their outputs, or a tuple or dict."""
        at_KP = self.theta_KP if theta_KP is None else theta_KP
        return self.model.forward(at_KP, self.inputs_KBI).for_loss

    def losses(
        self, theta_KP: Float[Tensor, "runs parameters"] | None = None
    ) -> Float[Tensor, " runs"]:
        """Return the mean data loss of each run at `theta_KP`; gradients flow."""
        return self.loss(self.returned(theta_KP), self.targets_KBO)


class RunView(NamedTuple):
    """The course of one run, for measures of runs.

    Attributes:
        seed: Its seed.
        steps: Step of each probe.
        history: Columns of `history` at these steps; NaN where a column was not measured.
    """

    seed: int
    steps: NDArray[np.int64]
    history: Mapping[str, NDArray[np.float64]]
