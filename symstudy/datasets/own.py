"""A data set of the user's own: a component that a study file names as `package.module:Name`."""

from symstudy.components import load_own_class
from symstudy.datasets.config import AbstractDatasetConfig

__all__ = ["adapt_own"]


def adapt_own(name: str) -> type[AbstractDatasetConfig]:
    """Return the class called `name`, with its name and the hash of its source among its fields.

    Raises:
        ModelError: If it cannot be imported, or is no data set.
    """
    found: type[AbstractDatasetConfig] = load_own_class(
        name, "data.kind", AbstractDatasetConfig, "data_source"
    )
    return found
