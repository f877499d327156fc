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
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["TorchOptimizer", "adapt_torch_class", "is_torch_class"]

RATE, DECAY = "lr", "weight_decay"
HOW = ("params", "foreach", "fused", "capturable", "differentiable")
"""Arguments that say how and not what is computed."""
RULES: dict[str, WidthRule] = {
    "SGD": "proportional",
    **dict.fromkeys(("Adagrad", "Adam", "AdamW", "Adamax"), "normalised"),
    **dict.fromkeys(("NAdam", "RAdam", "RMSprop"), "normalised"),
}
"""How the steps of classes of `torch.optim` itself go with the gradient, for muP."""
APART = "decoupled_weight_decay"
"""Argument of some of these by which weight_decay does not go through the gradient."""
PLAIN = (bool, int, float, str)


@component
class TorchOptimizer(AbstractOptimizer):
    """An optimiser by a class of torch's sort, one for each run.

    Attributes:
        torch_class: The class.
        arguments: Names of its arguments that are keys.
        takes_decay: Whether it takes weight_decay: it applies the penalty then, and not symstudy.
        decays_apart: Whether weight_decay then shrinks parameters beside the step; None where the
            class does not say.
    """

    trains_by: ClassVar[Literal["steps", "minimiser", "nothing"]] = "steps"
    torch_class: ClassVar[Any]
    arguments: ClassVar[tuple[str, ...]] = ()
    takes_decay: ClassVar[bool] = False
    decays_apart: ClassVar[bool | None] = None

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

    @property
    def no_width_rule(self) -> str:
        """Why muP cannot scale its learning rate with the width; empty if it can."""
        if not self.width_rule:
            return (
                "does not say how its step goes with the gradient (write in the class "
                "width_rule = 'normalised', as Adam, or 'proportional', as SGD)"
            )
        if self.takes_decay and self.decays_apart is None:
            return (
                "does not say whether weight_decay goes through the gradient (write in the "
                "class is_decoupled = False, or True)"
            )
        return ""

    def make(
        self,
        parameters: Sequence["Tensor"],
        rate: float,
        decay: float,
        factors: Sequence[float] = (),
    ) -> "torch.optim.Optimizer":
        """Return the optimiser of one run.

        Args:
            parameters: Of the run.
            rate: Learning rate of the first step.
            decay: 2 gamma.
            factors: Factor on the learning rate of each parameter, which is one group then; none
                for one group of all.
        """
        keys = {name: getattr(self, name) for name in self.arguments}
        if self.takes_decay:
            keys[DECAY] = decay
        groups: list[Any] = list(parameters)
        if factors:
            groups = [
                {"params": [parameter], RATE: rate * factor}
                for parameter, factor in zip(parameters, factors, strict=True)
            ]
            if self.takes_decay and (self.decays_apart or getattr(self, APART, False)):
                # Such a class shrinks by the group's rate times weight_decay.
                for group, factor in zip(groups, factors, strict=True):
                    group[DECAY] = decay / factor
        made: torch.optim.Optimizer = self.torch_class(groups, **{RATE: rate}, **keys)
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
        "width_rule": width_rule_of(found, name),
        "decays_apart": decays_apart(found),
        "no_polish": reason if takes_decay else "",
        "no_pull": "applies the penalty itself, around 0" if takes_decay else "",
    }
    for key in keys:
        if arguments[key].default is not inspect.Parameter.empty:
            body[key] = arguments[key].default
    made: type[TorchOptimizer] = component(type("TorchOptimizer", (TorchOptimizer,), body))
    return made


def is_of_torch(found: Any) -> bool:
    """Return whether a class is one of `torch.optim` itself whose rules are known."""
    return found.__module__.startswith("torch.optim.") and found.__name__ in RULES


def width_rule_of(found: Any, name: str) -> WidthRule:
    """Return how a class' step goes with the gradient: what it says itself, or is known of torch's.

    Raises:
        ModelError: If it says what is no rule.
    """
    says: WidthRule = getattr(
        found, "width_rule", RULES[found.__name__] if is_of_torch(found) else ""
    )
    if says not in ("", "proportional", "normalised"):
        raise ModelError(
            "train.optimizer must name a class whose `width_rule` is 'proportional' or "
            f"'normalised', or is left out, but that of {name!r} is {says!r}"
        )
    return says


def decays_apart(found: Any) -> bool | None:
    """Return whether weight_decay of a class shrinks parameters beside the step, if it is known."""
    if is_of_torch(found):
        return bool(found.__name__ == "AdamW")
    says = getattr(found, "is_decoupled", None)
    return says if isinstance(says, bool) else None


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
