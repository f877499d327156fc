"""What flows back through the hidden layers of a pack at a probe, computed where it is asked for.

Shapes: K runs, B samples, I inputs, N neurons, O outputs, P parameters.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["BackwardPass", "Signal"]


class Signal(NamedTuple):
    """What a hidden layer passes forward and is passed back, float64.

    Attributes:
        forward_KBN: Activations of the neurons, or the sums that these are taken of.
        backward_KBN: Gradient of the mean data loss with respect to `forward_KBN`.
    """

    forward_KBN: Float[Tensor, "runs batch neurons"]
    backward_KBN: Float[Tensor, "runs batch neurons"]


class BackwardPass:
    """One pass forward and back of the networks of a pack, made when a signal is first asked for.

    The gradient of a sample is that of the mean loss: its own loss over the number of samples.

    Args of the constructor: the model, the flat parameters `[runs, parameters]`, a batch of inputs
    and targets for each run, and the mean loss of each run as a function of what the model returns
    for the loss and of the targets.

    Attributes:
        kept: What measures work out of signals and share.
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
        self.theta_KP = theta_KP
        self.inputs_KBI = inputs_KBI
        self.targets_KBO = targets_KBO
        self.loss = loss
        self.kept: dict[Any, Any] = {}

    def activations(self, name: str) -> Signal | None:
        """Return the signal at the activations of a group of neurons; None where it is unknown.

        It is where the model hands out copies of its activations and not what it reads on.
        """
        return self.signals[0].get(name)

    def preactivations(self, name: str) -> Signal | None:
        """Return the signal at what a group's activations are taken of; None where unknown."""
        return self.signals[1].get(name)

    @cached_property
    def signals(self) -> tuple[dict[str, Signal], dict[str, Signal]]:
        """Signals at activations, and at what these are taken of, by group of neurons."""
        with torch.enable_grad():
            theta_KP = self.theta_KP.detach().requires_grad_()
            passed = self.model.forward(theta_KP, self.inputs_KBI)
            total = self.loss(passed.for_loss, self.targets_KBO).sum()
            return (
                signals_at(total, passed.hidden),
                signals_at(total, passed.preactivations),
            )


def signals_at(total: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Signal]:
    """Return the signals at those of `tensors` that `total` was made of."""
    names = [name for name, tensor in tensors.items() if tensor.requires_grad]
    if not names or not total.requires_grad:
        return {}
    gradients = torch.autograd.grad(
        total, [tensors[name] for name in names], retain_graph=True, allow_unused=True
    )
    return {
        name: Signal(tensors[name].detach().double(), gradient.double())
        for name, gradient in zip(names, gradients, strict=True)
        if gradient is not None
    }
