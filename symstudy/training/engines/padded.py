"""The engine of packs whose runs differ in width: torch, with the narrow runs padded.

Shapes: K runs, P parameters of the widest network.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.layout import Layout
from symstudy.models import build_model
from symstudy.training.checkpoints import State
from symstudy.training.data import Split
from symstudy.training.engines.base import (
    AbstractEngine,
    AbstractTrained,
    LoadedPack,
    Losses,
    ShapeGroup,
)
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.lanes import initial_parameters
from symstudy.training.engines.torch import TorchEngine

__all__ = ["PaddedEngine", "PaddedGroup", "embedded_places"]


@final
class PaddedEngine(AbstractEngine):
    """Trains runs of several widths as one batched program of the widest network.

    Each run starts as it would alone; the neurons that it has too few of are zero and stay zero
    (`symstudy.study.padding`). It is measured alone too: the runs of a width are a `ShapeGroup`
    with a network of that width, which reads their own parameters out of the wide ones. So padding
    is in no measure, and a run's numbers are those of the torch engine but for the order of its
    sums.
    """

    def __init__(self, pack: LoadedPack) -> None:
        """Initialise the runs of `pack`, whose model is that of the widest."""
        self.pack = pack
        members = lanes_by_shape(pack)
        narrow = [narrow_pack(pack, lanes) for lanes in members]
        places = [embedded_places(each.model.layout, pack.model.layout) for each in narrow]
        start = torch.zeros(len(pack.runs), pack.model.layout.size, dtype=torch_dtype(pack))
        for lanes, each, place in zip(members, narrow, places, strict=True):
            start[torch.from_numpy(lanes)[:, None], place] = initial_parameters(each)
        self.inner = TorchEngine(pack, start)
        self.groups = [
            PaddedGroup(self.inner, each, lanes, place)
            for lanes, each, place in zip(members, narrow, places, strict=True)
        ]

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters of the wide network as they are now, padding included."""
        return self.inner.theta_KP

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        return self.inner.diverged_K

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.inner.is_frozen_K

    @property
    def active(self) -> Int64[np.ndarray, " active"]:
        """The runs in the batch, in order."""
        return self.inner.active

    @property
    def name(self) -> str:
        """Torch, the device, and that the pack was padded."""
        return f"padded-{self.inner.name}"

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        self.inner.advance(first, steps)

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.inner.freeze(lanes)

    def drop_dead(self) -> None:
        """Leave runs that are not alive out of the batch, if they are half of it or more."""
        self.inner.drop_dead()

    def state(self) -> State:
        """Return the state of the wide network."""
        return self.inner.state()

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.inner.restore(state)

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.inner.evaluate(split)

    def evaluate_all(self, splits: Sequence[Split]) -> list[Losses]:
        """Return the data loss on each of `splits`, in one copy from the device."""
        return self.inner.evaluate_all(splits)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.inner.gradient(split)

    def shape_groups(self, pack: LoadedPack) -> list[ShapeGroup]:  # noqa: ARG002  # it has one pack
        """Return the runs width by width, each with its own network."""
        return [ShapeGroup(group.lanes, group.pack, group) for group in self.groups]

    @property
    def is_padding_KP(self) -> Bool[Tensor, "runs parameters"]:
        """Which parameters of each run are padding."""
        is_padding_KP = torch.ones_like(self.theta_KP, dtype=torch.bool)
        for group in self.groups:
            is_padding_KP[group.place] = False
        return is_padding_KP


@final
class PaddedGroup(AbstractTrained):
    """The runs of one width of a padded pack, read out of the wide network.

    Attributes:
        pack: These runs alone, with their own network.
        lanes: Their lanes in the padded pack.
        place: Index of their parameters in the wide ones: a column of lanes, a row of places.
    """

    def __init__(
        self,
        inner: TorchEngine,
        pack: LoadedPack,
        lanes: Int64[np.ndarray, " chosen"],
        places: Int64[Tensor, " parameters"],
    ) -> None:
        """Read the runs `lanes` of `inner`, which are those of `pack`, at `places`."""
        self.inner = inner
        self.pack = pack
        self.lanes = lanes
        rows = torch.from_numpy(lanes)[:, None]
        self.place = (rows.to(inner.device), places.to(inner.device))
        self.evaluator = TorchEvaluator(pack, inner.device)

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters of the narrow networks as they are now."""
        return self.inner.theta_KP[self.place]

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        found: NDArray[np.int64] = self.inner.diverged_K[self.lanes]
        return found

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        found: NDArray[np.bool_] = self.inner.is_frozen_K[self.lanes]
        return found

    @property
    def active(self) -> Int64[np.ndarray, " active"]:
        """The runs of the group that are in the batch."""
        return np.flatnonzero(np.isin(self.lanes, self.inner.active))

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.evaluate_all([split])[0]

    def evaluate_all(self, splits: Sequence[Split]) -> list[Losses]:
        """Return the data loss on each of `splits`, in one copy from the device."""
        found = self.evaluator.evaluate_all(self.theta_KP, splits, self.active)
        return [losses.without(~self.is_alive_K) for losses in found]

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.evaluator.gradient(self.theta_KP, split, self.active)


def torch_dtype(pack: LoadedPack) -> torch.dtype:
    """Return the type of the parameters of `pack`, as torch names it."""
    found: torch.dtype = getattr(torch, pack.train.dtype)
    return found


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
