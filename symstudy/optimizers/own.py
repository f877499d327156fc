"""An optimiser of the user's own: a component that a study file names as `package.module:Name`."""

from symstudy.components import load_own_class
from symstudy.optimizers.config import AbstractStepOptimizer

__all__ = ["adapt_own"]


def adapt_own(name: str) -> type[AbstractStepOptimizer]:
    """Return the class called `name`, with its name and the hash of its source among its fields.

    Raises:
        ModelError: If it cannot be imported, or is no optimiser.
    """
    found: type[AbstractStepOptimizer] = load_own_class(
        name, "train.optimizer", AbstractStepOptimizer, "optimizer_source"
    )
    return found
