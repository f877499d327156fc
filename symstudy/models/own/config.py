"""Keys of `model.kind = "package.module:Class"`."""

from dataclasses import field, replace
from typing import Any, ClassVar, Self

from symstudy.components import DataShape, NetworkSize, component, source_of
from symstudy.components.sizes import UNKNOWN_PARAMETERS
from symstudy.models.config import AbstractModelConfig, Reparametrise

__all__ = ["OwnModelConfig"]


@component
class OwnModelConfig(AbstractModelConfig):
    """A torch module of the user's own, called `package.module:Class`."""

    reads_integers: ClassVar[bool] = True
    network: ClassVar[str] = "symstudy.models.own.network:build_own"

    kind: str
    """Import path of the class and its name, separated by a colon."""
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

    def size(self, data: DataShape) -> NetworkSize:
        """Return an assumed size: the module's parameters are not counted without building it."""
        widest = max(data.inputs, data.outputs)
        return NetworkSize(UNKNOWN_PARAMETERS, UNKNOWN_PARAMETERS, 2 * widest)

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with what identifies the module's source."""
        return replace(self, source=source_of(self.kind)), []
