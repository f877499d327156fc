"""A data set of the user's own, `package.module:Name`: a component, or a function of arrays."""

import inspect

from symstudy.components import load_own, load_own_class
from symstudy.datasets.config import AbstractDatasetConfig
from symstudy.datasets.function import FunctionConfig

__all__ = ["adapt_own"]


def adapt_own(name: str) -> type[AbstractDatasetConfig]:
    """Return the class called `name`, with the hash of its source; for a function `FunctionConfig`.

    Raises:
        ModelError: If it cannot be imported, or is neither a data set nor a function.
    """
    if inspect.isroutine(load_own(name, "data.kind")):
        return FunctionConfig
    found: type[AbstractDatasetConfig] = load_own_class(
        name, "data.kind", AbstractDatasetConfig, "data_source"
    )
    return found
