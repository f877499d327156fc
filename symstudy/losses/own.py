"""A loss of the user's own: a function `(outputs, targets) -> one loss a sample`."""

import functools
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from symstudy.components import (
    ALWAYS,
    Component,
    Role,
    adapt_class,
    component,
    load_own,
    source_of,
)
from symstudy.errors import ModelError
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OwnLoss", "adapt_own"]


@component
class OwnLoss(AbstractLoss):
    """A function of the user's own, called `package.module:function`.

    It gets outputs and targets `[runs, samples, outputs]` and returns one number a sample,
    `[runs, samples]`. Of a module that returns something else it gets that: a tensor, or a tuple or
    dict of tensors, each with a leading run axis. With `function.compares_samples = True` a sample
    may be held against the others of its batch.
    """

    takes_any_output: ClassVar[bool] = True

    kind: str = ""
    """Import path of the function and its name, separated by a colon."""
    loss_source: Annotated[str, ALWAYS, Role.RESOLVED] = ""
    """SHA-256 of the module's source; found by itself."""

    def per_sample(self, output_KBO: Any, target_KBO: "Tensor") -> "Tensor":
        """Return what the function makes of outputs and targets.

        Raises:
            ModelError: If it is not one number a sample.
        """
        function = load_function(self.kind, self.loss_source)
        loss: Tensor = function(output_KBO, target_KBO)
        wanted = tuple(target_KBO.shape[:2])
        if tuple(getattr(loss, "shape", ())) != wanted:
            raise ModelError(
                f"train.loss must return one number a sample, {list(wanted)} for targets of shape "
                f"{list(target_KBO.shape)}, but {self.kind} returned "
                f"{list(getattr(loss, 'shape', ()))}. Sum over the last axis alone."
            )
        return loss


@functools.cache
def load_function(name: str, source: str) -> Any:
    """Return the function called `name` in the module of the given source, looked up once."""
    del source
    return load_own(name, "train.loss")


def adapt_own(name: str) -> type[Component]:
    """Return a function or a component of the user's own as a loss.

    Raises:
        ModelError: If it is neither.
    """
    found = load_own(name, "train.loss")
    if isinstance(found, type):
        made: type[Component] = adapt_class(found, name, "train.loss", AbstractLoss, "loss_source")
        return made
    if not callable(found):
        raise ModelError(
            f"train.loss must be a function (outputs, targets) or a loss component, but {name!r} "
            f"is a {type(found).__name__}."
        )
    made_of = own_loss(name, str(found.__doc__ or ""), source_of(name))
    made_of.compares_samples = bool(getattr(found, "compares_samples", False))
    return made_of


def own_loss(name: str, meaning: str, source: str) -> type[OwnLoss]:
    """Return `OwnLoss` for one function: its name and source are the defaults of the fields."""
    body = {
        "__annotations__": {"kind": str, "loss_source": Annotated[str, ALWAYS, Role.RESOLVED]},
        "__doc__": meaning.strip() or f"The loss {name} of the user's own.",
        "kind": name,
        "loss_source": source,
    }
    made: type[OwnLoss] = component(type("OwnLoss", (OwnLoss,), body))
    return made
