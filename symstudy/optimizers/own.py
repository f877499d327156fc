"""An optimiser of the user's own: a class that a study file names as `package.module:Name`."""

from symstudy.components import adapt_class, load_own
from symstudy.optimizers.config import AbstractOptimizer, AbstractStepOptimizer
from symstudy.optimizers.torch_class import adapt_torch_class, is_torch_class

__all__ = ["adapt_own"]

KEY = "train.optimizer"


def adapt_own(name: str) -> type[AbstractOptimizer]:
    """Return the class called `name`, with its name and the hash of its source among its fields.

    It is a component that steps all runs of a pack at once, or a `torch.optim.Optimizer`, of which
    each run has one.

    Raises:
        ModelError: If it cannot be imported, or is no optimiser.
    """
    found = load_own(name, KEY)
    if is_torch_class(found):
        return adapt_torch_class(found, name)
    made: type[AbstractOptimizer] = adapt_class(
        found, name, KEY, AbstractStepOptimizer, "optimizer_source"
    )
    return made
