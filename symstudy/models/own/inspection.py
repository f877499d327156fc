"""Checks of a user's own module before it is trained: starts, constants, draws and shapes."""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from symstudy.errors import ModelError
from symstudy.identity import stream_key

__all__ = ["Inspection", "inspect_module", "output_of", "seeded"]

SAMPLES = 5
"""Samples of the forward pass that is tried; no usual number of outputs, so shapes show."""
SAME_START = "symstudy_same_start"
"""Attribute of a class whose instances start equal on purpose, such as from a file of weights."""


class Inspection(NamedTuple):
    """A module that has passed all checks.

    Attributes:
        module: The module, in evaluation mode.
        training_module: The same, in training mode.
        parameters: Its parameters that are trained, by name.
        constants: Its frozen parameters and its buffers, by name; the same for every seed.
        draws_in_training: Whether a forward pass in training draws random numbers.
        draws_in_evaluation: Whether one in evaluation does.
    """

    module: nn.Module
    training_module: nn.Module
    parameters: dict[str, nn.Parameter]
    constants: dict[str, Tensor]
    draws_in_training: bool
    draws_in_evaluation: bool


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a module initialised from the stream of `seed`; torch's generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_key(seed, "initialisation") >> 1)
        return make()


def inspect_module(
    make: Callable[[], nn.Module], name: str, inputs: int, outputs: int
) -> Inspection:
    """Return what a pack must know of the modules that `make` returns.

    Args:
        make: Makes a module, initialised from torch's global generator.
        name: Name of the class, for messages.
        inputs: Number of inputs of the data.
        outputs: Number of outputs of the data.

    Raises:
        ModelError: If the module cannot be trained in a pack.
    """
    module, again, other = (seeded(make, seed) for seed in (0, 0, 1))
    parameters = {key: each for key, each in module.named_parameters() if each.requires_grad}
    if not parameters:
        frozen = len(list(module.parameters()))
        raise ModelError(
            f"{name} must have parameters that are trained, but got "
            f"{f'{frozen}, all with requires_grad = False' if frozen else 'none'}."
        )
    check_starts(name, module, again, other)
    training = make_training(make)
    drawn = [
        draws_of(name, each, inputs, outputs, mode)
        for each, mode in ((training, "training"), (module.eval(), "evaluation"))
    ]
    return Inspection(
        module=module,
        training_module=training,
        parameters=parameters,
        constants=constants_of(module),
        draws_in_training=drawn[0],
        draws_in_evaluation=drawn[1],
    )


def make_training(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the module of seed 0 in training mode."""
    return seeded(make, 0).train()


def constants_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the frozen parameters and the buffers of `module`, by name."""
    frozen = {
        key: each.detach() for key, each in module.named_parameters() if not each.requires_grad
    }
    return frozen | dict(module.named_buffers())


def plain_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that are attributes of the module or its children, but no buffers."""
    for path, child in module.named_modules():
        for key, value in vars(child).items():
            if isinstance(value, Tensor):
                yield f"{path}.{key}".lstrip("."), value


def everything_of(module: nn.Module) -> dict[str, Tensor]:
    """Return all parameters, buffers and other tensors of `module`, by name."""
    return {
        **{key: each.detach() for key, each in module.named_parameters()},
        **dict(module.named_buffers()),
        **dict(plain_tensors(module)),
    }


def differing(left: dict[str, Tensor], right: dict[str, Tensor]) -> list[str]:
    """Return the names whose tensors differ."""
    return [
        key
        for key, value in left.items()
        if key not in right or not same_numbers(value, right[key])
    ]


def same_numbers(left: Tensor, right: Tensor) -> bool:
    """Return whether two tensors have the same numbers; NaN equals NaN."""
    if left.shape != right.shape:
        return False
    return bool(torch.isclose(left, right, rtol=0.0, atol=0.0, equal_nan=True).all())


def check_starts(name: str, module: nn.Module, again: nn.Module, other: nn.Module) -> None:
    """Check that a seed decides how a module starts, and decides nothing but trained parameters.

    Args:
        name: Name of the class.
        module: Module of one seed.
        again: Another of the same seed.
        other: One of another seed.

    Raises:
        ModelError: If this does not hold.
    """
    unlike = differing(everything_of(module), everything_of(again))
    if unlike:
        raise ModelError(
            f"{name} must draw its initial values from torch's generator, so that a seed decides "
            f"them, but two modules of one seed differ in {', '.join(unlike)}: its __init__ draws "
            "from numpy, random or a generator of its own. Use torch.randn and its like."
        )
    trained = {key: each.detach() for key, each in module.named_parameters() if each.requires_grad}
    changed = set(differing(everything_of(module), everything_of(other)))
    if not changed & set(trained) and not getattr(module, SAME_START, False):
        raise ModelError(
            f"{name} must start differently for different seeds, but seeds 0 and 1 start with "
            "equal parameters: its __init__ seeds a generator itself, or draws nothing. Leave out "
            f"manual_seed; where that is meant, write `{SAME_START} = True` in the class."
        )
    shared = sorted(changed - set(trained))
    if shared:
        raise ModelError(
            f"{name} must have the same frozen parameters, buffers and other tensors for every "
            f"seed, since a pack holds them once, but {', '.join(shared)} differ between seeds 0 "
            "and 1. Draw them from torch.Generator().manual_seed(N), with N an argument that a "
            "study can sweep, or make them parameters that are trained."
        )


def draws_of(name: str, module: nn.Module, inputs: int, outputs: int, mode: str) -> bool:
    """Try a forward pass; return whether it draws random numbers.

    Raises:
        ModelError: If it raises, keeps state, draws from numpy or random, or returns another shape
            than the data have.
    """
    x = torch.randn(SAMPLES, inputs, generator=torch.Generator().manual_seed(0))
    before = {key: each.clone() for key, each in module.named_buffers()}
    others = foreign_states()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        start = torch.random.get_rng_state()
        try:
            result = module(x)
        except Exception as error:
            raise ModelError(
                f"forward of {name} must take inputs [samples, inputs], but with "
                f"{list(x.shape)} in {mode} it raised {type(error).__name__}: {error}"
            ) from error
        draws = not torch.equal(start, torch.random.get_rng_state())
    changed = differing(before, dict(module.named_buffers()))
    if changed:
        raise ModelError(
            f"{name} must keep no state outside its parameters, but a forward pass in {mode} "
            f"changes the buffers {', '.join(changed)}: measures of a run would depend on when "
            "they are taken. Replace batch statistics by LayerNorm or GroupNorm."
        )
    if foreign_states() != others:
        raise ModelError(
            f"forward of {name} must draw from torch's generator, but draws from numpy or random, "
            "which a run's seed does not decide. Use torch.rand and its like."
        )
    check_shape(name, result, outputs)
    return draws


def foreign_states() -> tuple[str, object]:
    """Return the states of the global generators of numpy and random."""
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002  # the global one is meant
    return f"{state['state']['key'].tobytes().hex()} {state['state']['pos']}", random.getstate()


def check_shape(name: str, result: Any, outputs: int) -> None:
    """Check the outputs of a forward pass on `SAMPLES` samples.

    Raises:
        ModelError: If they are not a tensor with a row a sample and a column an output.
    """
    output = output_of(result)
    shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != [SAMPLES, outputs]:
        raise ModelError(
            f"forward of {name} must return outputs [samples, outputs] = [{SAMPLES}, {outputs}] "
            f"for data with {outputs} targets, but returned {shape}. Give its last layer {outputs} "
            "outputs: a constructor with the parameter output_dim is told the number."
        )


def output_of(result: Any) -> Any:
    """Return the outputs of a forward pass, which may come with hidden activations beside them."""
    return result[0] if isinstance(result, tuple) and len(result) == 2 else result
