"""Optimisers of torch's sort, one for each run of a pack.

Shapes: K runs, P parameters.
"""

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from symstudy.errors import ModelError
from symstudy.layout import Layout
from symstudy.optimizers.torch_class import TorchOptimizer
from symstudy.training.checkpoints import State
from symstudy.training.engines.base import LoadedPack

__all__ = ["LaneOptimizers", "check_torch_optimizer", "make_lane_optimizers"]

TENSOR, NUMBER, GROUP = "tensor", "number", "group"
"""What an array of a state stands for: a tensor of a parameter, a number of one, one of a group."""
TRIED_STEPS = 3
"""Steps that an optimiser is tried for."""


@final
class RunOptimizer:
    """The optimiser of one run, with parameters of its own that it moves.

    Attributes:
        optimizer: The optimiser.
        parameters: A tensor for each block of the layout.
        takes_decay: Whether it applies the penalty itself.
        factors: Factor on the learning rate of each group of parameters; 1 outside of muP.
    """

    def __init__(
        self, config: TorchOptimizer, layout: Layout, theta_P: Tensor, rate: float, decay: float
    ) -> None:
        """Make it for parameters like `theta_P`."""
        self.blocks = layout.blocks
        self.parameters = [
            torch.zeros(block.shape, dtype=theta_P.dtype, device=theta_P.device, requires_grad=True)
            for block in self.blocks
        ]
        factors = config.rate_factors(layout)
        is_scaled = any(factor != 1.0 for factor in factors)
        self.factors = factors if is_scaled else (1.0,)
        self.optimizer = config.make(self.parameters, rate, decay, factors if is_scaled else ())
        self.takes_decay = config.takes_decay

    def step(self, theta_P: Tensor, gradient_P: Tensor, rate: float) -> None:
        """Move `theta_P` by a step against `gradient_P`, in place."""
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = rate * factor
        with torch.no_grad():
            for block, parameter in zip(self.blocks, self.parameters, strict=True):
                place = slice(block.offset, block.stop)
                parameter.copy_(theta_P[place].view(block.shape))
                parameter.grad = gradient_P[place].reshape(block.shape).clone()
        self.optimizer.step()
        with torch.no_grad():
            for block, parameter in zip(self.blocks, self.parameters, strict=True):
                theta_P[block.offset : block.stop].copy_(parameter.flatten())
                parameter.grad = None

    def state(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield what the optimiser remembers, by names that `restore` reads.

        Raises:
            ModelError: If it is something else than tensors and numbers.
        """
        for place, parameter in enumerate(self.parameters):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is None:
                    continue
                what = TENSOR if isinstance(value, Tensor) else NUMBER
                yield f"{what}.{place}.{key}", as_array(key, value)
        for place, group in enumerate(self.optimizer.param_groups):
            for key, value in group.items():
                if key != "lr" and isinstance(value, bool | int | float):
                    yield f"{GROUP}.{place}.{key}", np.array(value)

    def restore(self, state: State) -> None:
        """Take over what `state` has yielded."""
        self.optimizer.state.clear()
        for name, array in state.items():
            what, place, key = name.split(".", 2)
            if what == GROUP:
                self.optimizer.param_groups[int(place)][key] = array.item()
                continue
            parameter = self.parameters[int(place)]
            held = self.optimizer.state[parameter]
            held[key] = array.item() if what == NUMBER else torch.from_numpy(array.copy())
            if what == TENSOR and array.ndim:
                # A count of steps stays on the host, where torch's optimisers keep theirs.
                held[key] = held[key].to(parameter.device)


def as_array(key: str, value: Any) -> NDArray[Any]:
    """Return a tensor or number of a state as an array.

    Raises:
        ModelError: If it is neither.
    """
    if isinstance(value, Tensor):
        found: NDArray[Any] = value.detach().cpu().numpy()
        return found
    if isinstance(value, bool | int | float):
        return np.array(value)
    raise ModelError(
        "an optimiser must remember tensors and numbers alone, which checkpoints can hold, but "
        f"its state[{key!r}] is a {type(value).__name__}."
    )


@final
class LaneOptimizers:
    """The optimisers of the runs of a pack.

    Args of the constructor: one for each run, in the order of the pack.
    """

    def __init__(self, runs: Sequence[RunOptimizer]) -> None:
        """See the class."""
        self.runs = runs

    @property
    def take_decay(self) -> bool:
        """Whether they apply the penalty themselves: a pack has optimisers of one class."""
        return any(run.takes_decay for run in self.runs)

    def chosen(self, lanes: NDArray[np.int64]) -> "LaneOptimizers":
        """Return those of the runs `lanes`: the same ones, not copies."""
        return LaneOptimizers([self.runs[lane] for lane in lanes.tolist()])

    def step(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        gradient_KP: Float[Tensor, "runs parameters"],
        rates_K: Sequence[float],
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters after a step of every run.

        Runs that are not alive step too, on what nobody reads: to ask which are would have the host
        wait for the device.
        """
        moved_KP = theta_KP.clone()
        rows = zip(self.runs, moved_KP, gradient_KP, rates_K, strict=True)
        for run, theta_P, gradient_P, rate in rows:
            run.step(theta_P, gradient_P, rate)
        return moved_KP

    def state(self) -> State:
        """Return what the optimisers remember."""
        return {
            f"optimizer.{lane}.{name}": array.copy()
            for lane, run in enumerate(self.runs)
            for name, array in run.state()
        }

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        mine: list[State] = [{} for _ in self.runs]
        for name, array in state.items():
            first, _, rest = name.partition(".")
            if first == "optimizer":
                lane, _, key = rest.partition(".")
                mine[int(lane)][key] = array
        for run, each in zip(self.runs, mine, strict=True):
            run.restore(each)


def make_lane_optimizers(
    pack: LoadedPack, theta_KP: Float[Tensor, "runs parameters"]
) -> LaneOptimizers | None:
    """Return an optimiser for each run; None where one step moves all runs of the pack."""
    trains = [run.cell.train for run in pack.runs]
    optimizers = [train.optimizer for train in trains]
    if not isinstance(optimizers[0], TorchOptimizer):
        return None
    return LaneOptimizers(
        [
            RunOptimizer(config, pack.model.layout, theta_P, train.lr, 2.0 * train.gamma)
            for config, train, theta_P in zip(optimizers, trains, theta_KP, strict=True)
            if isinstance(config, TorchOptimizer)
        ]
    )


def check_torch_optimizer(pack: LoadedPack) -> None:
    """Check that an optimiser of torch's sort steps by gradients, and goes on from its state.

    Raises:
        ModelError: If it does not.
    """
    config, layout = pack.train.optimizer, pack.model.layout
    if not isinstance(config, TorchOptimizer):
        return
    generator = torch.Generator().manual_seed(0)
    theta_P = torch.zeros(layout.size, dtype=getattr(torch, pack.train.dtype))
    gradients = torch.randn((TRIED_STEPS, layout.size), generator=generator).to(theta_P)
    try:
        whole, cut = (
            RunOptimizer(config, layout, theta_P, pack.train.lr, 2.0 * pack.train.gamma)
            for _ in range(2)
        )
        through, resumed = theta_P.clone(), theta_P.clone()
        for gradient in gradients[:-1]:
            whole.step(through, gradient, pack.train.lr)
        resumed.copy_(through)
        cut.restore(dict(whole.state()))
        whole.step(through, gradients[-1], pack.train.lr)
        cut.step(resumed, gradients[-1], pack.train.lr)
    except Exception as error:
        raise ModelError(
            f"train.optimizer must step by the gradients of tensors of the network's shapes, but "
            f"{config.kind} raised {type(error).__name__}: {error}. What needs a closure, sparse "
            "gradients or matrices alone cannot train it."
        ) from error
    if not torch.equal(through, resumed):
        raise ModelError(
            "an optimiser must keep all that it remembers in its `state` or `param_groups`, so "
            f"that a checkpoint holds it, but {config.kind} goes on otherwise from these. Keep "
            "counts in self.state[parameter], not on the optimiser itself."
        )
