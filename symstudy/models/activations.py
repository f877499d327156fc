"""The activation functions by name, for torch and for the compiled kernels."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from symstudy.errors import unknown_name
from symstudy.kernels import functions

__all__ = ["ACTIVATIONS", "Activation", "activation_of"]


class Activation(NamedTuple):
    """An activation function and what its symmetries are.

    Attributes:
        apply: The function, elementwise, differentiable.
        code: Its number in the compiled kernels.
        odd: Whether f(-z) = -f(z).
        homogeneous: Whether f(cz) = c f(z) for c > 0.
    """

    apply: Callable[[Tensor], Tensor]
    code: int
    odd: bool = False
    homogeneous: bool = False


def silu(z: Tensor) -> Tensor:
    """Return z / (1 + exp(-z)), by way of tanh.

    torch's own silu and sigmoid give other last bits in the tail of an array than in its vector
    part, so a neuron's value would depend on its pack-mates; its tanh does not.
    """
    return z * (0.5 + 0.5 * torch.tanh(0.5 * z))


def gelu(z: Tensor) -> Tensor:
    """Return z Phi(z) with the normal distribution function Phi (Hendrycks and Gimpel 2016)."""
    return z * (0.5 + 0.5 * torch.erf(z * math.sqrt(0.5)))


def identity(z: Tensor) -> Tensor:
    """Return z."""
    return z


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(torch.tanh, functions.TANH, odd=True),
    "silu": Activation(silu, functions.SILU),
    "relu": Activation(torch.relu, functions.RELU, homogeneous=True),
    "gelu": Activation(gelu, functions.GELU),
    "sin": Activation(torch.sin, functions.SIN, odd=True),
    "linear": Activation(identity, functions.LINEAR, odd=True, homogeneous=True),
}


def activation_of(name: str, coefficient: float) -> Activation:
    """Return the activation called `name`; `coefficient` is that of the polynomial's z^2.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name == "polynomial":
        return Activation(lambda z: z + coefficient * z * z, functions.POLYNOMIAL)
    if name not in ACTIVATIONS:
        raise unknown_name("model.activation", name, [*ACTIVATIONS, "polynomial"])
    return ACTIVATIONS[name]
