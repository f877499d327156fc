"""Checks of a user's own module before it is trained: starts, constants, draws and shapes."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from symstudy.components import DataShape
from symstudy.components.opened_files import files_opened
from symstudy.errors import ModelError
from symstudy.models.own.draws import foreign_states, seeded_by
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.outputs import describe, plain, read_returned, tensors_in
from symstudy.models.own.passes import LaneModule

__all__ = ["Inspection", "inspect_module", "trial_inputs"]

SAMPLES = 5
"""Samples of the forward pass that is tried; no usual number of outputs, so shapes show."""
FEWER = 3
"""Samples that are tried by themselves."""
SAME_START = "symstudy_same_start"
"""Attribute of a class whose instances start equal on purpose, such as from a file of weights."""
CLOSE = 1e-4
"""Relative difference of two forward passes of the same numbers that rounding may make."""


class Inspection(NamedTuple):
    """A module that has passed all checks.

    Attributes:
        module: The module, in evaluation mode.
        training_module: The same, in training mode.
        parameters: Its parameters that are trained, by name.
        constants: Frozen parameters and buffers that are the same for every seed and step, by name.
        lane_names: Names of those that are not: each run holds its own.
        draws_in_training: Whether a forward pass in training draws random numbers.
        draws_in_evaluation: Whether one in evaluation does.
        predicts: Whether it returns a tensor of the targets' shape, to compare with them.
        is_plain: Whether that is all that the loss is given.
        returns: Shapes of what it returns, for messages.
    """

    module: nn.Module
    training_module: nn.Module
    parameters: dict[str, nn.Parameter]
    constants: dict[str, Tensor]
    lane_names: tuple[str, ...]
    draws_in_training: bool
    draws_in_evaluation: bool
    predicts: bool
    is_plain: bool
    returns: str


class Trial(NamedTuple):
    """A forward pass that was tried.

    Attributes:
        result: What it returned, plain.
        draws: Whether it drew random numbers from torch.
        changed: Buffers that it changed.
    """

    result: Any
    draws: bool
    changed: list[str]


def inspect_module(factory: ModuleFactory, data: DataShape) -> Inspection:
    """Return what a pack must know of the modules that `factory` makes.

    Raises:
        ModelError: If such a module cannot be trained as a run.
    """
    name = factory.name
    module, again, other = (factory.make(seed) for seed in (0, 0, 1))
    parameters = {key: each for key, each in module.named_parameters() if each.requires_grad}
    if not parameters:
        frozen = len(list(module.parameters()))
        raise ModelError(
            f"{name} must have parameters that are trained, but got "
            f"{f'{frozen}, all with requires_grad = False' if frozen else 'none'}."
        )
    unlike = check_starts(name, module, again, other)
    training_module = factory.make(0).train()
    x = trial_inputs(data, SAMPLES)
    with files_opened() as read:
        training = try_forward(name, training_module, x, "training")
        evaluation = try_forward(name, module.eval(), x, "evaluation")
        check_samples_apart(name, module, x, evaluation, data)
    factory.check_files(read, "in forward")
    check_kept(name, evaluation)
    check_same_form(name, training, evaluation)
    held = held_beside(module)
    lane_names = tuple(key for key in held if key in unlike or key in training.changed)
    return Inspection(
        module=module,
        training_module=training_module,
        parameters=parameters,
        constants={key: each for key, each in held.items() if key not in lane_names},
        lane_names=lane_names,
        draws_in_training=training.draws,
        draws_in_evaluation=evaluation.draws,
        predicts=is_prediction(read_returned(evaluation.result).prediction, data),
        is_plain=is_prediction(read_returned(evaluation.result).for_loss, data),
        returns=describe(evaluation.result, SAMPLES),
    )


def trial_inputs(data: DataShape, samples: int) -> Tensor:
    """Return inputs in their own axes, drawn at random: normal, or 0 and 1 where integers."""
    generator = torch.Generator().manual_seed(0)
    shape = (samples, *(data.input_shape or (data.inputs,)))
    if data.is_integer:
        return torch.randint(0, 2, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def held_beside(module: nn.Module) -> dict[str, Tensor]:
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
                yield f"{path}.{key}".lstrip("."), value.detach()


def everything_of(module: nn.Module) -> dict[str, Tensor]:
    """Return all parameters, buffers and other tensors of `module`, by name."""
    return {
        **{key: each.detach() for key, each in module.named_parameters()},
        **dict(module.named_buffers()),
        **dict(plain_tensors(module)),
    }


def differing(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> list[str]:
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


def check_starts(name: str, module: nn.Module, again: nn.Module, other: nn.Module) -> set[str]:
    """Check that a seed decides how a module starts; return what differs between seeds.

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
    named = {key for key, _ in (*module.named_parameters(), *module.named_buffers())}
    shared = sorted(changed - named)
    if shared:
        raise ModelError(
            f"{name} must hold what its seed decides in parameters and buffers, but the attributes "
            f"{', '.join(shared)} differ between seeds 0 and 1. Write "
            f"`self.register_buffer({shared[0].rpartition('.')[2]!r}, ...)`: each run then has "
            "its own."
        )
    return changed - set(trained)


def try_forward(name: str, module: nn.Module, x: Tensor, mode: str) -> Trial:
    """Try a forward pass twice from the same numbers; the module is left as it was.

    Raises:
        ModelError: If it raises, draws from numpy or random, returns no tensors, or depends on
            what is neither a parameter nor a buffer.
    """
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    before = {key: each.detach().clone() for key, each in held.items()}
    lane = LaneModule(module)
    others = foreign_states()
    results = []
    with seeded_by(0), torch.no_grad():
        for _ in range(2):
            lane.put({key: each.clone() for key, each in before.items()})
            torch.manual_seed(0)
            start = torch.random.get_rng_state()
            try:
                returned = module(x)
            except Exception as error:
                raise ModelError(
                    f"forward of {name} must take inputs {shape_of(x)}, but with {list(x.shape)} "
                    f"of {str(x.dtype).removeprefix('torch.')} in {mode} it raised "
                    f"{type(error).__name__}: {error}"
                ) from error
            results.append(plain(returned, name))
        draws = not torch.equal(start, torch.random.get_rng_state())
    changed = differing(before, {key: lane.read(key) for key in before})
    lane.put(held)
    if foreign_states() != others:
        raise ModelError(
            f"forward of {name} must draw from torch's generator, but draws from numpy or random, "
            "which a run's seed does not decide. Use torch.rand and its like."
        )
    check_results(name, results, mode)
    return Trial(results[0], draws, changed)


def shape_of(x: Tensor) -> str:
    """Return the axes of trial inputs in words."""
    return str(["samples", *x.shape[1:]]).replace("'", "")


def check_results(name: str, results: list[Any], mode: str) -> None:
    """Check what two passes from the same numbers returned.

    Raises:
        ModelError: If they differ, or hold no tensor.
    """
    first, second = map(tensors_in, results)
    if not first:
        raise ModelError(f"forward of {name} must return a tensor, but returned nothing in {mode}.")
    alike = len(first) == len(second) and all(
        left.shape == right.shape
        and torch.allclose(left.double(), right.double(), rtol=CLOSE, atol=CLOSE, equal_nan=True)
        for left, right in zip(first, second, strict=False)
    )
    if not alike:
        raise ModelError(
            f"{name} must keep its state in buffers, but two forward passes in {mode} from the "
            "same parameters, buffers and draws differ: an attribute counts or remembers. Keep it "
            "by `self.register_buffer(name, tensor)` and assign to that."
        )


def check_kept(name: str, evaluation: Trial) -> None:
    """Check that a forward pass in evaluation leaves the module as it was.

    Raises:
        ModelError: If it does not.
    """
    if evaluation.changed:
        raise ModelError(
            f"{name} must keep its buffers in evaluation, but a forward pass after eval() changes "
            f"{', '.join(evaluation.changed)}: measures of a run would depend on when they are "
            "taken. Change them under `if self.training:`."
        )


def check_same_form(name: str, training: Trial, evaluation: Trial) -> None:
    """Check that a module returns the same tensors in training and in evaluation.

    Raises:
        ModelError: If it does not.
    """
    forms = describe(training.result, SAMPLES), describe(evaluation.result, SAMPLES)
    if forms[0] != forms[1]:
        raise ModelError(
            f"forward of {name} must return the same in training and evaluation, but returned "
            f"{forms[0]} in training and {forms[1]} after eval(). Leave out what one of them lacks."
        )


def check_samples_apart(
    name: str, module: nn.Module, x: Tensor, evaluation: Trial, data: DataShape
) -> None:
    """Check that in evaluation a sample has the same output whatever samples are beside it.

    Args:
        name: Name of the class.
        module: The module, in evaluation mode.
        x: Trial inputs.
        evaluation: What it returned for them.
        data: Shape of the data.

    Raises:
        ModelError: If it has another one: test losses would depend on how the test samples are cut.
    """
    whole = read_returned(evaluation.result).prediction
    if evaluation.draws or not is_prediction(whole, data):
        return
    part = read_returned(try_forward(name, module, x[:FEWER], "evaluation").result).prediction
    assert isinstance(whole, Tensor) and isinstance(part, Tensor), "a prediction is a tensor"  # noqa: PT018
    if not torch.allclose(part.double(), whole[:FEWER].double(), CLOSE, CLOSE, equal_nan=True):
        raise ModelError(
            f"forward of {name} must give a sample the same output after eval() whatever samples "
            f"are beside it, but the first {FEWER} of {SAMPLES} have others by themselves. Take "
            "means over samples under `if self.training:` alone, and keep them in buffers."
        )


def is_prediction(found: Any, data: DataShape) -> bool:
    """Return whether `found` is a tensor with a row a sample and a column an output."""
    return isinstance(found, Tensor) and list(found.shape) == [SAMPLES, data.outputs]
