"""A module as a function of its flat parameters, in float64, for checks on numbers."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from symstudy.errors import ModelError
from symstudy.symmetry.derivation.trace import output_tensors

__all__ = ["ModuleFunction", "prepared"]

EPSILON_PLACES: dict[Callable[..., Any], int] = {
    functional.layer_norm: 4,
    torch.layer_norm: 4,
    functional.group_norm: 4,
    torch.group_norm: 4,
    functional.batch_norm: 7,
    torch.batch_norm: 7,
    functional.instance_norm: 7,
    torch.instance_norm: 7,
    functional.rms_norm: 3,
    torch.rms_norm: 3,
}
"""Place of the argument `eps` of the normalisations."""

BATCH_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)  # noqa: SLF001  # torch has no other name for what its normalisations have in common
TINY = 1e-300
"""Stands for 0, which torch refuses: lost beside any variance."""
NOISE = 0.5
"""Standard deviation of what is added to initial weights, relative to 1 / sqrt(fan-in)."""
BIAS_NOISE = 0.1
"""The same for vectors: little, since a large bias makes a ReLU neuron never active."""


@final
class WithoutEpsilon(TorchFunctionMode):
    """Normalises without the small number that is added to a variance."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func` with next to no `eps`, if it is a normalisation."""
        del types
        given = dict(kwargs or {})
        place = EPSILON_PLACES.get(func)
        if place is not None:
            if len(args) > place:
                args = (*args[:place], TINY, *args[place + 1 :])
            else:
                given["eps"] = TINY
        return func(*args, **given)


def prepared(module: nn.Module) -> nn.Module:
    """Return a copy of `module` in float64, in evaluation mode but for its batch norms.

    Those take the statistics of the batch, as in training, and keep none.

    Raises:
        ModelError: If the module cannot be copied.
    """
    try:
        # Hooks of the user's own are copied too, and results that are kept are not parameters.
        copied = copy.deepcopy(module).double().eval()
    except Exception as error:
        raise ModelError(
            f"{type(module).__name__} must be a module that copy.deepcopy can copy, but it raised "
            f"{type(error).__name__}: {error}. Keep no results of a forward pass in attributes."
        ) from error
    for child in copied.modules():
        if isinstance(child, BATCH_NORMS):
            child.track_running_stats = False
            child.running_mean = child.running_var = child.num_batches_tracked = None
    return copied


@final
class ModuleFunction:
    """The outputs of a module as a function of its flat trained parameters.

    Attributes:
        module: As `prepared`.
        names: Names of its trained parameters, in their order.
        shapes: Their shapes.
        inputs: Batch of inputs on which it is evaluated.
    """

    def __init__(self, module: nn.Module, inputs: Tensor) -> None:
        """Look at a module that was `prepared`, and a batch of example inputs."""
        self.module = module
        trained = {key: each for key, each in module.named_parameters() if each.requires_grad}
        self.names = list(trained)
        self.shapes = [tuple(each.shape) for each in trained.values()]
        self.sizes = [each.numel() for each in trained.values()]
        self.start = torch.cat([each.detach().flatten() for each in trained.values()])
        self.inputs = inputs

    def generic(self, generator: torch.Generator) -> Float[Tensor, " parameters"]:
        """Return the initial parameters plus noise, so that none is 0 or equal to another."""
        noise = torch.cat(
            [
                torch.randn(size, generator=generator, dtype=torch.float64)
                * (NOISE / torch.Size(shape[1:]).numel() ** 0.5 if len(shape) > 1 else BIAS_NOISE)
                for size, shape in zip(self.sizes, self.shapes, strict=True)
            ]
        )
        return self.start + noise

    def tensors(self, theta_P: Float[Tensor, " parameters"]) -> dict[str, Tensor]:
        """Return flat parameters in their shapes, by name."""
        pieces = torch.split(theta_P, self.sizes)
        return {
            name: piece.view(shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def outputs(
        self, theta_P: Float[Tensor, " parameters"], inputs: Tensor, *, epsilon: bool = True
    ) -> list[Tensor]:
        """Return the floating tensors that the module gives; gradients flow.

        Args:
            theta_P: Flat parameters.
            inputs: A batch.
            epsilon: Whether normalisations add their small number to the variance.
        """
        mode: contextlib.AbstractContextManager[Any] = (
            contextlib.nullcontext() if epsilon else WithoutEpsilon()
        )
        with mode:
            result = functional_call(self.module, self.tensors(theta_P), (inputs,))
        return [each for each in output_tensors(result) if each.is_floating_point()]

    def flat(self, theta_P: Tensor, inputs: Tensor, *, epsilon: bool = True) -> Tensor:
        """Return all outputs as one vector; gradients flow."""
        found = self.outputs(theta_P, inputs, epsilon=epsilon)
        return torch.cat([each.flatten() for each in found])

    def draw_inputs(self, generator: torch.Generator) -> Tensor:
        """Return random inputs of the shape of the example's: normal, or its own integers."""
        shape = self.inputs.shape
        if self.inputs.is_floating_point():
            return torch.randn(shape, generator=generator, dtype=torch.float64)
        order = torch.randint(self.inputs.numel(), (self.inputs.numel(),), generator=generator)
        return self.inputs.flatten()[order].view(shape)


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    """Make the tensors that a module creates float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
