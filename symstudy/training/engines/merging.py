"""The merge inequality: at a global minimum no two neurons are better replaced by their mean.

Replacing two neurons of a layer by their mean lowers gamma |theta|^2 by gamma D^2 / 2, D their
distance, and the swap symmetry makes the loss even along the way. So at a global minimum the
objective of every merged state is at least that of the minimum; a pair whose merging lowers it
proves that a point is no global minimum. Theorem 4 of arXiv:2502.05300 (its Eqs. 28 to 34); the
statement here is the step that needs no smoothness.

Shapes: C candidates, P parameters, N neurons, D numbers of a neuron.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from symstudy.kernels.lanes import Samples, survey_lanes
from symstudy.kernels.network import CHUNK, make_scratch
from symstudy.layout import Layout, NeuronGroup
from symstudy.symmetry.neurons import neuron_matrix, neuron_sides, reversible_numbers
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.networks import kernel_network
from symstudy.training.losses import data_loss

__all__ = ["Merge", "Objective", "best_merge", "make_objective", "merge_gains", "merged_states"]

CANDIDATES_BYTES = 64 << 20
Objective = Callable[[Float[np.ndarray, "candidates parameters"]], Float[np.ndarray, " candidates"]]


class Merge(NamedTuple):
    """The pair of a point whose merging lowers the objective most, or raises it least.

    Attributes:
        group: Name of the layer's neurons.
        first: One neuron.
        second: The other.
        gain: Objective of the point less that of the merged state.
        theta: The merged state.
    """

    group: str
    first: int
    second: int
    gain: float
    theta: Float[np.ndarray, " parameters"]


def make_objective(pack: LoadedPack, run: int) -> Objective:
    """Return the objective of one run of `pack`, of many parameter vectors at once.

    Data loss on the fixed training data plus gamma |theta|^2, in float64.
    """
    split = pack.data.train
    x = split.x[split.lane_x[run]].astype(np.float64)
    y = split.y[split.lane_y[run]].astype(np.float64)
    gamma = pack.runs[run].cell.train.gamma
    network = kernel_network(pack)

    def penalised(loss: NDArray[np.float64], theta_CP: NDArray[np.float64]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = loss + gamma * np.square(theta_CP).sum(axis=1)
        return total

    def by_kernels(theta_CP: NDArray[np.float64]) -> NDArray[np.float64]:
        assert network is not None
        assert pack.model.dense is not None
        count = len(theta_CP)
        one = np.zeros(count, np.int64)
        samples = Samples(
            x[None], y[None], one, one, np.arange(len(x), dtype=np.int32), np.zeros((1, 1))
        )
        loss = np.empty(count)
        survey_lanes(
            network,
            theta_CP,
            np.full(count, pack.model.dense.coefficient),
            samples,
            np.arange(count),
            make_scratch(network, CHUNK, np.dtype(np.float64)),
            loss,
            np.empty(count),
            np.empty((count, 0)),
        )
        return penalised(loss, theta_CP)

    def by_torch(theta_CP: NDArray[np.float64]) -> NDArray[np.float64]:
        shape = (len(theta_CP),)
        with torch.no_grad():
            inputs = torch.from_numpy(x).expand(*shape, *x.shape)
            targets = torch.from_numpy(y).expand(*shape, *y.shape)
            output = pack.model.forward(torch.from_numpy(theta_CP), inputs).for_loss
            loss: NDArray[np.float64] = data_loss(pack.train.loss, output, targets).numpy()
        return penalised(loss, theta_CP)

    return by_kernels if network is not None else by_torch


def neuron_places(layout: Layout, group: NeuronGroup) -> Int64[np.ndarray, "neurons dims"]:
    """Return where in the flat vector each number of each neuron lies."""
    places = torch.arange(layout.size, dtype=torch.float64)[None]
    found: NDArray[np.int64] = neuron_matrix(layout, group, places)[0].long().numpy()
    return found


def reversible_of(layout: Layout, group: NeuronGroup) -> int:
    """Return how many of the first numbers of a neuron of `group` may change sign together."""
    sides = neuron_sides(layout, group, torch.zeros(1, layout.size, dtype=torch.float64))
    return reversible_numbers(group, *(side.shape[2] for side in sides))


def merged_states(
    theta_P: Float[np.ndarray, " parameters"],
    places_ND: Int64[np.ndarray, "neurons dims"],
    pairs_C2: Int64[np.ndarray, "candidates 2"],
    *,
    reversible: int,
) -> Float[np.ndarray, "candidates parameters"]:
    """Return `theta_P` with each pair of neurons replaced by its mean.

    Where the first `reversible` numbers of a neuron may change sign together, the mean is that of
    the first and of the second with the sign that brings it nearer, and each keeps its sign.
    """
    first, second = places_ND[pairs_C2[:, 0]], places_ND[pairs_C2[:, 1]]
    a, b = theta_P[first], theta_P[second]
    sign = np.ones(a.shape)
    if reversible:
        turned = np.concatenate([-b[:, :reversible], b[:, reversible:]], axis=1)
        is_nearer = np.square(a - turned).sum(axis=1) < np.square(a - b).sum(axis=1)
        sign[is_nearer, :reversible] = -1.0
    mean = 0.5 * (a + sign * b)
    states = np.repeat(theta_P[None], len(pairs_C2), axis=0)
    rows = np.arange(len(pairs_C2))[:, None]
    states[rows, first] = mean
    states[rows, second] = sign * mean
    return states


def merge_gains(
    layout: Layout,
    group: NeuronGroup,
    theta_P: Float[np.ndarray, " parameters"],
    objective: Objective,
) -> tuple[Int64[np.ndarray, "pairs 2"], Float[np.ndarray, " pairs"]]:
    """Return all pairs of neurons of `group` and by how much merging each lowers the objective."""
    places = neuron_places(layout, group)
    pairs = np.stack(np.triu_indices(group.size, 1), axis=1).astype(np.int64)
    reversible = reversible_of(layout, group)
    before = float(objective(theta_P[None])[0])
    size = max(1, CANDIDATES_BYTES // (8 * layout.size))
    gains = [
        before
        - objective(merged_states(theta_P, places, pairs[i : i + size], reversible=reversible))
        for i in range(0, len(pairs), size)
    ]
    return pairs, np.concatenate(gains) if gains else np.empty(0)


def best_merge(
    pack: LoadedPack, run: int, theta_P: Float[np.ndarray, " parameters"]
) -> Merge | None:
    """Return the merge that lowers the objective of one run most; None if there are no pairs.

    Pairs that are identical already do not count: merging them changes nothing.
    """
    layout = pack.model.layout
    objective = make_objective(pack, run)
    best: Merge | None = None
    for group in layout.groups:
        places = neuron_places(layout, group)
        pairs, gains = merge_gains(layout, group, theta_P, objective)
        if not len(gains):
            continue
        at = int(gains.argmax())
        if best is None or gains[at] > best.gain:
            reversible = reversible_of(layout, group)
            (state,) = merged_states(theta_P, places, pairs[at : at + 1], reversible=reversible)
            best = Merge(group.name, int(pairs[at, 0]), int(pairs[at, 1]), float(gains[at]), state)
    return best
