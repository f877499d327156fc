"""Keys of `model.kind = "package.module:Class"`."""

import importlib
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from symstudy.components import DataShape, NetworkSize, component, source_of
from symstudy.models.config import AbstractModelConfig, Reparametrise

if TYPE_CHECKING:
    from symstudy.models.base import AbstractModel

__all__ = ["OwnModelConfig"]


@component
class OwnModelConfig(AbstractModelConfig):
    """A torch module of the user's own: a class, or a function that returns one."""

    reads_integers: ClassVar[bool] = True
    network: ClassVar[str] = "symstudy.models.own.network:build_own"
    is_own_code: ClassVar[bool] = True
    counter: ClassVar[str] = "symstudy.models.own.planned_size:size_of_own"
    """Import path of the function that builds the module and counts it, `module:name`."""

    kind: str
    """Import path of the class or function and its name, separated by a colon."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class: every other key of the `[model]` table."""
    reparametrise: Reparametrise = "none"
    """Weights as products, as for the other kinds."""
    source: str = ""
    """SHA-256 of the module's source, or the version of the package that it is installed with;
    found by itself."""

    @classmethod
    def of_table(cls, table: dict[str, Any]) -> dict[str, Any]:
        """Return the keys of a `[model]` table as fields: what is not one is an argument."""
        own: dict[str, Any] = {key: table[key] for key in ("kind", "reparametrise") if key in table}
        return {**own, "arguments": {key: item for key, item in table.items() if key not in own}}

    def build(self, data: DataShape) -> "AbstractModel":
        """Return the module, which is told the axes of a sample too.

        Raises:
            ModelError: If it cannot be built or trained.
        """
        model: AbstractModel = self.builder()(self, data)
        return model

    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the module, which is built and tried on a few samples.

        Raises:
            ModelError: If it cannot be built or trained.
        """
        module, _, name = self.counter.partition(":")
        counted: NetworkSize = getattr(importlib.import_module(module), name)(self, data)
        return counted

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with what identifies the module's source."""
        return replace(self, source=source_of(self.kind)), []
