"""Activations of hidden layers that a study keeps, so that runs can be compared later.

Shapes: K runs, B samples, N neurons.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.errors import ModelError
from symstudy.layout import NeuronGroup
from symstudy.training.checkpoints import State, UnfitStateError
from symstudy.training.engines.base import AbstractTrained, LoadedPack
from symstudy.training.engines.evaluators import rows_of

__all__ = ["KeptRepresentations", "below", "represent"]

Activations = NDArray[np.float32]


def represent(
    trained: AbstractTrained, pack: LoadedPack, lanes: NDArray[np.int64]
) -> dict[int, Activations]:
    """Return the activations `[runs, samples, neurons]` of each hidden layer of the runs `lanes`.

    On as many test inputs as `[probe] representations` says; nothing where that is 0. Attention
    layers are left out.

    Raises:
        ModelError: If there are not so many test inputs, or no layer has one row a sample.
    """
    wanted = pack.runs[0].cell.probe.representations
    if not wanted or len(lanes) == 0 or pack.data.is_absent:
        return {}
    split = pack.data.test
    if split.x.shape[1] < wanted:
        raise ModelError(
            f"probe.representations must be at most the {split.x.shape[1]} test samples, but got "
            f"{wanted}"
        )
    theta = trained.theta_KP
    index = pack.data.resident.index(lanes, theta.device)
    theta = theta[index]
    inputs = pack.data.gathered(split.x, split.lane_x[lanes], slice(wanted), theta.device)
    model = pack.model.with_buffers(rows_of(trained.buffers, index))
    with torch.no_grad():
        hidden = model.forward(theta, inputs).hidden
    layers = pack.model.network_layout.hidden_layers
    found = {
        layer.layer: hidden[layer.name].float().cpu().numpy()
        for layer in layers
        if isinstance(layer, NeuronGroup) and layer.name in hidden
    }
    kept = {layer: rows for layer, rows in found.items() if rows.shape[1] == wanted}
    if not kept:
        raise ModelError(
            "probe.representations must be 0 for a model without a hidden layer of one row of "
            f"activations a sample, but got {wanted}"
        )
    return kept


class Kept(NamedTuple):
    """The activations of one layer at one probe.

    Attributes:
        lanes: Places of the runs.
        rows_KBN: Their activations.
    """

    lanes: NDArray[np.int64]
    rows_KBN: Activations


class KeptRepresentations:
    """The activations that were kept of the runs of one shape, by step and layer."""

    def __init__(self) -> None:
        """Begin with none."""
        self.found: dict[tuple[int, int], Kept] = {}

    def add(self, step: int, lanes: NDArray[np.int64], layers: Mapping[int, Activations]) -> None:
        """Keep what `represent` returned of the runs `lanes`."""
        for layer, rows in layers.items():
            self.found[step, layer] = Kept(lanes, rows)

    def columns(self, run_ids: NDArray[Any]) -> dict[str, list[Any]]:
        """Return a row a run, step and layer, by column; nothing where none was kept."""
        rows = [
            {
                "run_id": str(run_ids[lane]),
                "step": step,
                "layer": layer,
                "num_samples": kept.rows_KBN.shape[1],
                "num_neurons": kept.rows_KBN.shape[2],
                "activations": kept.rows_KBN[place].reshape(-1),
            }
            for (step, layer), kept in self.found.items()
            for place, lane in enumerate(kept.lanes.tolist())
        ]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def state(self) -> State:
        """Return what `restore` needs."""
        return {
            f"{step}.{layer}.{name}": array
            for (step, layer), kept in self.found.items()
            for name, array in kept._asdict().items()
        }

    def restore(self, state: State) -> None:
        """Take over a `state`.

        Raises:
            UnfitStateError: If it is not one of kept activations.
        """
        self.found = {}
        for name, rows in state.items():
            step, layer, what = name.split(".")
            if what != "rows_KBN":
                continue
            lanes = state.get(f"{step}.{layer}.lanes")
            if lanes is None or rows.ndim != 3 or len(lanes) != len(rows):
                raise UnfitStateError(f"a state must hold the runs of {name!r}")
            self.found[int(step), int(layer)] = Kept(lanes.copy(), rows.copy())


def below(parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    """Return the rows of `parts` below each other."""
    filled = [part for part in parts if part]
    names = filled[0] if filled else ()
    return {name: [value for part in filled for value in part[name]] for name in names}
