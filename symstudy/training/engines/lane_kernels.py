"""Compiled code that trains and measures the lanes of a pack, by the kind of the network.

Shapes: K runs, P parameters.
"""

from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from symstudy.kernels.graph_lanes import survey_graph_lanes, train_graph_lanes
from symstudy.kernels.graph_steps import compile_graph_steps
from symstudy.kernels.lanes import Batches, Lanes, Samples, survey_lanes, train_lanes
from symstudy.kernels.layer_graph import LayerGraph, make_graph_scratch
from symstudy.kernels.passes import AnyNetwork, scratch_of
from symstudy.models.base import NO_BUFFERS, Buffers
from symstudy.training.checkpoints import State
from symstudy.training.engines.base import LoadedPack, Losses
from symstudy.training.engines.networks import activation_coefficient

__all__ = ["AbstractLaneKernels", "ImageKernels", "NetworkKernels"]


class AbstractLaneKernels(ABC):
    """Trains and surveys lanes, each by itself.

    Contract: a lane's numbers depend on that lane alone. Methods are called from several threads at
    once, each with lanes and scratch memory of its own.
    """

    @abstractmethod
    def make_scratch(self) -> Any:
        """Return the memory that one thread works in."""

    @abstractmethod
    def train(
        self,
        lanes: Lanes,
        batches: Batches,
        chosen: Int64[np.ndarray, " chosen"],
        scratch: Any,
        step: Any,
    ) -> None:
        """Train the lanes `chosen` through all steps of a block, by an optimiser's `step`."""

    @abstractmethod
    def survey(
        self,
        theta: Float[np.ndarray, "runs parameters"],
        samples: Samples,
        chosen: Int64[np.ndarray, " chosen"],
        scratch: Any,
        losses: Losses,
        gradient: Float[np.ndarray, "runs columns"],
    ) -> None:
        """Fill losses of the lanes `chosen` on `samples`, and their gradients or else accuracies.

        Gradients are written where `gradient` has a column for each parameter.
        """

    @property
    def buffers(self) -> Buffers:
        """What the lanes hold beside their parameters, `[runs, ...]` by name."""
        return NO_BUFFERS

    def state(self) -> State:
        """Return the arrays behind `buffers`, which training changes."""
        return {}


@final
class NetworkKernels(AbstractLaneKernels):
    """Dense layers and transformers: `symstudy.kernels.lanes`."""

    def __init__(self, pack: LoadedPack, network: AnyNetwork) -> None:
        """Prepare for the runs of `pack`, whose layers and loss the kernels know as `network`."""
        self.network = network
        self.dtype = pack.dtype
        self.coefficient_K = np.full(len(pack.runs), activation_coefficient(pack), pack.dtype)

    def make_scratch(self) -> Any:
        """Return the memory of one thread, for one chunk of samples, whatever the batch."""
        return scratch_of(self.network, self.dtype)

    def train(
        self,
        lanes: Lanes,
        batches: Batches,
        chosen: Int64[np.ndarray, " chosen"],
        scratch: Any,
        step: Any,
    ) -> None:
        """Train the lanes `chosen` through all steps of a block."""
        gradient = np.empty_like(lanes.theta[0])
        train_lanes(self.network, lanes, batches, chosen, scratch, gradient, step)

    def survey(
        self,
        theta: Float[np.ndarray, "runs parameters"],
        samples: Samples,
        chosen: Int64[np.ndarray, " chosen"],
        scratch: Any,
        losses: Losses,
        gradient: Float[np.ndarray, "runs columns"],
    ) -> None:
        """Fill losses and gradients or accuracies of the lanes `chosen`."""
        found = losses.loss_K, losses.accuracy_K
        coefficient = self.coefficient_K
        survey_lanes(self.network, theta, coefficient, samples, chosen, scratch, *found, gradient)


@final
class ImageKernels(AbstractLaneKernels):
    """Networks of convolutions: `symstudy.kernels.graph_lanes`.

    Attributes:
        states: Running means and variances of each run.
        counts: Batches that they have seen.
    """

    def __init__(self, pack: LoadedPack, graph: LayerGraph) -> None:
        """Prepare for the runs of `pack`, whose operations and loss are those of `graph`."""
        self.graph = graph
        self.dtype = pack.dtype
        self.batch = pack.train.batch_size
        self.stack = pack.model.images
        self.steps = compile_graph_steps(pack.dtype.name)
        self.states: NDArray[np.floating] = np.zeros((len(pack.runs), graph.states), pack.dtype)
        self.counts = np.zeros(len(pack.runs), np.int64)
        seeds = [run.seed for run in pack.runs]
        start = pack.model.initial_buffers(seeds, torch.from_numpy(self.states).dtype)
        for name, tensor in self.buffers.items():
            tensor.copy_(start[name])

    @property
    def buffers(self) -> Buffers:
        """Running means and variances, and how many batches they have seen, by torch's names."""
        return self.stack.buffers_of(torch.from_numpy(self.states), torch.from_numpy(self.counts))

    def state(self) -> State:
        """Return running means and variances and their counts."""
        return {"running": self.states, "batches": self.counts}

    def make_scratch(self) -> Any:
        """Return the memory of one thread, for one batch."""
        return make_graph_scratch(self.graph, self.batch, self.dtype)

    def train(
        self,
        lanes: Lanes,
        batches: Batches,
        chosen: Int64[np.ndarray, " chosen"],
        scratch: Any,
        step: Any,
    ) -> None:
        """Train the lanes `chosen` through all steps of a block."""
        train_graph_lanes(
            self.graph,
            self.steps,
            lanes,
            self.states,
            self.counts,
            batches,
            chosen,
            scratch,
            np.empty_like(lanes.theta[0]),
            step,
        )

    def survey(
        self,
        theta: Float[np.ndarray, "runs parameters"],
        samples: Samples,
        chosen: Int64[np.ndarray, " chosen"],
        scratch: Any,
        losses: Losses,
        gradient: Float[np.ndarray, "runs columns"],
    ) -> None:
        """Fill losses and gradients or accuracies of the lanes `chosen`, as in evaluation."""
        survey_graph_lanes(
            self.graph,
            self.steps,
            theta,
            self.states,
            samples,
            chosen,
            scratch,
            losses.loss_K,
            losses.accuracy_K,
            gradient,
        )
