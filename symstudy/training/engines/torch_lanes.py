"""Parameters, moments and status of the runs of a pack, as torch tensors on one device.

Shapes: K runs, P parameters.
"""

from typing import final

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import Lanes
from symstudy.training.checkpoints import State, read_array
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.lane_optimizers import LaneOptimizers, make_lane_optimizers
from symstudy.training.engines.lanes import is_stepped_by_kernels

__all__ = ["TorchLanes"]


@final
class TorchLanes:
    """What training changes of the runs of a pack.

    Attributes:
        pack: The runs.
        lanes: Their hyperparameters; on the CPU the tensors below share its memory, so that the
            compiled kernels step what torch differentiates.
        theta: Parameters `[K, P]`.
        moments: Vectors like the parameters that the optimiser keeps beside them.
        diverged: Step at which each run diverged, or -1.
        is_frozen: Whether each run was frozen.
        buffers: What runs hold beside their parameters, such as running means, `[K, ...]` by name.
        optimizers: Optimisers of torch's sort, one a run; None where one step moves all runs.
        by_kernels: Whether the compiled kernels take the optimiser's steps, or torch.
    """

    def __init__(
        self,
        pack: LoadedPack,
        lanes: Lanes,
        device: torch.device,
        moments: int,
        optimizers: LaneOptimizers | None = None,
    ) -> None:
        """Put the runs of `pack`, as `lanes` has them, on `device`, with moments of zero.

        Args:
            pack: The runs.
            lanes: Parameters and hyperparameters.
            device: Where they train.
            moments: Vectors like the parameters that one step for all runs keeps.
            optimizers: Those of the runs, where each has its own; new ones if None.
        """
        self.pack = pack
        self.lanes = lanes
        self.device = device
        self.theta = torch.from_numpy(lanes.theta).to(device)
        self.by_kernels = device.type == "cpu" and is_stepped_by_kernels(pack)
        self.moments = [torch.zeros_like(self.theta) for _ in range(moments)]
        if self.by_kernels:
            self.moments = kernel_moments(lanes)
        self.optimizers = optimizers or make_lane_optimizers(pack, self.theta)
        self.diverged = torch.from_numpy(lanes.diverged).to(device)
        self.is_frozen = torch.zeros_like(self.diverged, dtype=torch.bool)
        start = pack.model.initial_buffers(
            [run.training_seed for run in pack.runs], self.theta.dtype
        )
        self.buffers = {name: each.to(device) for name, each in start.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        tensors = {"theta": self.theta, "diverged": self.diverged, "is_frozen": self.is_frozen}
        tensors |= {f"buffer.{name}": each for name, each in self.buffers.items()}
        return tensors | {f"moment{i}": moment for i, moment in enumerate(self.moments)}

    def status(self) -> Int64[np.ndarray, "2 runs"]:
        """Return where each run diverged and whether it was frozen, in one copy."""
        kind = self.diverged.dtype
        found: NDArray[np.int64] = (
            torch.stack([self.diverged, self.is_frozen.to(kind)]).cpu().numpy()
        )
        return found

    def copy_of(self, chosen: Int64[np.ndarray, " chosen"]) -> "TorchLanes":
        """Return a copy of the runs `chosen`, for which alone data are drawn."""
        is_alive_K = ((self.diverged < 0) & ~self.is_frozen).cpu().numpy()
        runs = [self.pack.runs[lane] for lane in chosen.tolist()]
        data = self.pack.data.without(~is_alive_K).part(chosen)
        part = TorchLanes(
            self.pack._replace(runs=runs, data=data),
            selected_lanes(self.lanes, chosen),
            self.device,
            len(self.moments),
            self.optimizers.chosen(chosen) if self.optimizers else None,
        )
        index = torch.from_numpy(chosen).to(self.device)
        for own, whole in zip(part.tensors().values(), self.tensors().values(), strict=True):
            own.copy_(whole[index])
        return part

    def freeze(self, chosen: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `chosen` no more."""
        self.is_frozen[torch.from_numpy(chosen).to(self.device)] = True

    def put(self, chosen: Int64[np.ndarray, " chosen"], part: "TorchLanes") -> None:
        """Overwrite the runs `chosen` by those of `part`, in place."""
        index = torch.from_numpy(chosen).to(self.device)
        for whole, own in zip(self.tensors().values(), part.tensors().values(), strict=True):
            whole[index] = own

    def state(self) -> State:
        """Return what `restore` needs."""
        state = {name: tensor.cpu().numpy() for name, tensor in self.tensors().items()}
        return state | (self.optimizers.state() if self.optimizers else {})

    def restore(self, state: State) -> None:
        """Take over a `state`, in place.

        Raises:
            UnfitStateError: If it is of other runs.
        """
        for name, tensor in self.tensors().items():
            like = np.empty(tuple(tensor.shape), tensor.new_empty(0).cpu().numpy().dtype)
            tensor.copy_(torch.from_numpy(read_array(state, name, like).copy()))
        if self.optimizers:
            self.optimizers.restore(state)


def kernel_moments(lanes: Lanes) -> list[Tensor]:
    """Return the moments that the compiled kernels keep, as tensors on the same memory."""
    return [torch.from_numpy(each) for each in (lanes.first, lanes.second) if each.shape[1]]


def selected_lanes(lanes: Lanes, chosen: Int64[np.ndarray, " chosen"]) -> Lanes:
    """Return copies of the rows `chosen` of all arrays of `lanes`."""
    fields = lanes._asdict()
    rows = {name: field[chosen] for name, field in fields.items() if isinstance(field, np.ndarray)}
    return lanes._replace(**rows)
