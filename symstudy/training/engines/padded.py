"""The engine of packs whose runs differ in width: torch, with the narrow runs padded.

Shapes: K runs, P parameters of the widest network.
"""

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from symstudy.layout import Layout
from symstudy.models import build_model
from symstudy.training.checkpoints import State
from symstudy.training.engines.base import LoadedPack, Part
from symstudy.training.engines.torch import EagerEngine

__all__ = ["PaddedEngine", "embedded_places"]


class PaddedEngine(EagerEngine):
    """Trains runs of several widths as one batched program of the widest network.

    Each run starts as it would alone; the neurons that it has too few of are zero and stay zero
    (`symstudy.study.padding`). It is measured alone too: the runs of a width are a `Part` with a
    network of that width, whose engine reads their own parameters out of the wide ones. So padding
    is in no measure, and a run's numbers are those of `EagerEngine` but for the order of its sums.
    """

    def __init__(self, pack: LoadedPack) -> None:
        """Initialise the runs of `pack`, whose model is that of the widest."""
        super().__init__(pack)
        self.members = lanes_by_shape(pack)
        self.narrow = [EagerEngine(narrow_pack(pack, lanes)) for lanes in self.members]
        # Where each width's parameters lie in `theta`: a column of lanes, a row of places.
        self.places = [
            (
                torch.from_numpy(lanes)[:, None].to(self.device),
                embedded_places(engine.pack.model.layout, pack.model.layout).to(self.device),
            )
            for lanes, engine in zip(self.members, self.narrow, strict=True)
        ]
        # In place: on the CPU this is the lanes' own memory.
        self.theta.zero_()
        for engine, place in zip(self.narrow, self.places, strict=True):
            self.theta[place] = engine.theta

    @property
    def name(self) -> str:
        """Torch, the device, and that the pack was padded."""
        return f"padded-{super().name}"

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        super().advance(first, steps)
        self.share_out()

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        super().freeze(lanes)
        self.share_out()

    def drop_dead(self) -> None:
        """Leave runs that are not alive out of the batch, if they are half of it or more."""
        super().drop_dead()
        self.share_out()

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        super().restore(state)
        self.share_out()

    def share_out(self) -> None:
        """Bring the engine of each width up to date."""
        is_active = np.zeros(len(self.pack.runs), np.bool_)
        is_active[self.active] = True
        for engine, lanes, place in zip(self.narrow, self.members, self.places, strict=True):
            engine.theta.copy_(self.theta[place])
            engine.diverged.copy_(self.diverged[place[0][:, 0]])
            engine.is_frozen.copy_(self.is_frozen[place[0][:, 0]])
            engine.active = np.flatnonzero(is_active[lanes])

    def parts(self, pack: LoadedPack) -> list[Part]:  # noqa: ARG002  # the engine has one pack
        """Return the runs width by width, each with its own network."""
        return [
            Part(lanes, engine.pack, engine)
            for lanes, engine in zip(self.members, self.narrow, strict=True)
        ]

    @property
    def is_padding_KP(self) -> Tensor:
        """Which parameters of each run are padding."""
        is_padding_KP = torch.ones_like(self.theta, dtype=torch.bool)
        for place in self.places:
            is_padding_KP[place] = False
        return is_padding_KP


def lanes_by_shape(pack: LoadedPack) -> list[Int64[np.ndarray, " chosen"]]:
    """Return the lanes of each shape, shapes in order of appearance."""
    shapes = [run.cell.shape for run in pack.runs]
    return [
        np.flatnonzero([shape == wanted for shape in shapes]) for wanted in dict.fromkeys(shapes)
    ]


def narrow_pack(pack: LoadedPack, lanes: Int64[np.ndarray, " chosen"]) -> LoadedPack:
    """Return the runs `lanes`, which have one shape, with their own network."""
    runs = [pack.runs[lane] for lane in lanes.tolist()]
    model = build_model(runs[0].cell.model, runs[0].cell.data.shape)
    return LoadedPack(runs=runs, model=model, data=pack.data.part(lanes), config=pack.config)


def embedded_places(narrow: Layout, wide: Layout) -> Int64[Tensor, " parameters"]:
    """Return where each parameter of `narrow` lies in the flat vector of `wide`.

    Blocks of a name correspond; what `wide` has more of comes last along every axis.
    """
    pieces = []
    for block in narrow.blocks:
        other = wide.block(block.name)
        places = torch.arange(other.offset, other.stop).reshape(other.shape)
        pieces.append(places[tuple(slice(length) for length in block.shape)].flatten())
    return torch.cat(pieces)
