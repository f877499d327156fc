"""A class of `torch.optim`, or one like them, that a study file names as `package.module:Class`.

Its arguments become keys of `[train]`, but for the learning rate, which is `train.lr` by the
schedule, and its weight decay, which is `train.weight_decay`. Each run has an optimiser of its own,
so what such a class keeps and computes cannot mix runs.
"""

import inspect
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from symstudy.components import ALWAYS, Role, component, source_of
from symstudy.errors import ModelError
from symstudy.optimizers.config import NOT_KNOWN, AbstractOptimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["TorchOptimizer", "adapt_torch_class", "is_torch_class"]

RATE, DECAY = "lr", "weight_decay"
HOW = ("params", "foreach", "fused", "capturable", "differentiable")
"""Arguments that say how and not what is computed."""
PLAIN = (bool, int, float, str)


@component
class TorchOptimizer(AbstractOptimizer):
    """An optimiser by a class of torch's sort, one for each run.

    Attributes:
        torch_class: The class.
        arguments: Names of its arguments that are keys.
        takes_decay: Whether it takes weight_decay: it applies the penalty then, and not symstudy.
    """

    trains_by: ClassVar[Literal["steps", "minimiser", "nothing"]] = "steps"
    torch_class: ClassVar[Any]
    arguments: ClassVar[tuple[str, ...]] = ()
    takes_decay: ClassVar[bool] = False

    kind: str = ""
    """Import path of the class and its name, separated by a colon."""
    optimizer_source: Annotated[str, ALWAYS, Role.RESOLVED] = ""
    """SHA-256 of the module's source, or the version of the package; found by itself."""

    def __post_init__(self) -> None:
        """Check that the class takes its arguments.

        Raises:
            ValueError: If it does not.
        """
        torch = sys.modules["torch"]  # It is loaded: the class inherits from it.
        try:
            self.make([torch.zeros(1, 1, requires_grad=True)], 1e-3, 0.0)
        except Exception as error:
            raise ValueError(
                f"`train.optimizer` = {self.kind!r} must take its keys as arguments, but raised "
                f"{type(error).__name__}: {error}"
            ) from error

    def make(
        self, parameters: Sequence["Tensor"], rate: float, decay: float
    ) -> "torch.optim.Optimizer":
        """Return the optimiser of one run.

        Args:
            parameters: Of the run.
            rate: Learning rate of the first step.
            decay: 2 gamma.
        """
        keys = {name: getattr(self, name) for name in self.arguments}
        if self.takes_decay:
            keys[DECAY] = decay
        made: torch.optim.Optimizer = self.torch_class(list(parameters), **{RATE: rate}, **keys)
        return made

    def effective_rate(self, rate: float) -> float:
        """Return NaN: nothing is known of how a signal-free parameter shrinks."""
        del rate
        return NOT_KNOWN


def is_torch_class(found: Any) -> bool:
    """Return whether an object is a class of optimisers of torch's sort; torch is not imported."""
    return isinstance(found, type) and any(
        (base.__module__, base.__name__) == ("torch.optim.optimizer", "Optimizer")
        for base in found.__mro__
    )


def adapt_torch_class(found: Any, name: str) -> type[TorchOptimizer]:
    """Return the class `found` behind `name` as an optimiser, with its arguments among its fields.

    Raises:
        ModelError: If its steps need more than a gradient, or it takes no learning rate.
    """
    refuse_closures(found, name)
    arguments = arguments_of(found)
    if RATE not in arguments:
        raise ModelError(
            f"train.optimizer must name a class that takes {RATE!r}, which is set at each step "
            f"from train.lr and train.schedule, but {name!r} takes {', '.join(arguments) or 'none'}"
            f". Write def __init__(self, params, {RATE}=1e-3):"
        )
    keys = [key for key in arguments if key not in (RATE, DECAY)]
    takes_decay = DECAY in arguments
    reason = "may decay parameters beside its step, and not go down the objective"
    body: dict[str, Any] = {
        "__annotations__": {
            "kind": str,
            "optimizer_source": Annotated[str, ALWAYS, Role.RESOLVED],
            **{key: Annotated[annotation_of(arguments[key]), Role.LANE] for key in keys},
        },
        "__doc__": found.__doc__ or f"{name}, of torch's sort.",
        "kind": name,
        "optimizer_source": source_of(name),
        "torch_class": found,
        "arguments": tuple(keys),
        "takes_decay": takes_decay,
        "no_polish": reason if takes_decay else "",
        "no_pull": "applies the penalty itself, around 0" if takes_decay else "",
    }
    for key in keys:
        if arguments[key].default is not inspect.Parameter.empty:
            body[key] = arguments[key].default
    made: type[TorchOptimizer] = component(type("TorchOptimizer", (TorchOptimizer,), body))
    return made


def refuse_closures(found: Any, name: str) -> None:
    """Raise if the class' `step` asks for a function that evaluates the loss again.

    Raises:
        ModelError: If so.
    """
    needed = [
        each.name
        for each in list(inspect.signature(found.step).parameters.values())[1:]
        if each.default is inspect.Parameter.empty
        and each.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if needed:
        raise ModelError(
            "train.optimizer must step by a gradient that it is given, but step() of "
            f"{name!r} needs {', '.join(needed)}: a function that evaluates the loss as often as "
            "it likes. Type train.optimizer=lbfgs, which minimises, or name another class."
        )


def arguments_of(found: Any) -> Mapping[str, inspect.Parameter]:
    """Return the arguments of a class that may be keys, with their types resolved."""
    try:
        hints = typing.get_type_hints(found.__init__)
    except (NameError, TypeError):
        hints = {}
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: each.replace(annotation=hints.get(name, inspect.Parameter.empty))
        for name, each in list(inspect.signature(found.__init__).parameters.items())[1:]
        if name not in HOW and each.kind not in several
    }


def annotation_of(argument: inspect.Parameter) -> Any:
    """Return the type of the key of an argument: plain, or a list of numbers.

    A default of 0 or 1 without a type may stand for a number as well as for a count.
    """
    default = argument.default
    if isinstance(default, tuple):
        return tuple[float | int | None, ...]
    named = [each for each in parts_of(argument.annotation) if each in PLAIN]
    if isinstance(default, bool) and not set(named) - {bool}:
        return bool
    if isinstance(default, int | float) and not named:
        return float | int
    if float in named:
        named = [float, int, *(each for each in named if each not in (float, int))]
    if not named:
        named = [type(default)] if isinstance(default, str) else [str, bool, float, int]
    kinds = dict.fromkeys([*named, *([type(None)] if default is None else [])])
    return Union[tuple(kinds)]  # noqa: UP007  # made of a list


def parts_of(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)
