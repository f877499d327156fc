"""Keys of `model.kind = "package.module:Class"`."""

import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from symstudy.components import DataShape, NetworkSize, component, source_of
from symstudy.components.opened_files import hash_files
from symstudy.components.own_code import code_of, with_content
from symstudy.models.config import AbstractModelConfig, Reparametrise

if TYPE_CHECKING:
    from symstudy.models.base import AbstractModel

__all__ = ["OwnModelConfig"]

LONGEST_PATH = 1000
"""Longer texts name no file."""


@component
class OwnModelConfig(AbstractModelConfig):
    """A torch module of the user's own: a class, or a function that returns one."""

    reads_integers: ClassVar[bool] = True
    network: ClassVar[str] = "symstudy.models.own.building:build_own"
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
    """SHA-256 of the module's source, or the version of the package that it is installed with, and
    of the files that its arguments name, if any; found by itself."""

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
        """Return the configuration with what identifies the module's source and files."""
        content = hash_files(self.files())
        return replace(self, source=with_content(source_of(self.kind), content)), []

    def files(self) -> list[Path]:
        """Return the files that arguments name, as seen from the working directory."""
        return [Path(text).absolute() for text in texts_in(self.arguments) if names_a_file(text)]

    def check_files(self) -> str:
        """Return how the files that arguments name differ from those planned; empty if not."""
        if with_content(code_of(self.source), hash_files(self.files())) == self.source:
            return ""
        return (
            f"but the files that arguments of {self.kind!r} name are others now. Put them back, or "
            "type `symstudy run STUDY --extend`: other files make runs of their own"
        )


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts of an argument, those within lists and tables too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


def names_a_file(text: str) -> bool:
    """Return whether a text looks like the path of a file and is one."""
    if not (os.sep in text or "." in text) or "\0" in text or len(text) > LONGEST_PATH:
        return False
    return Path(text).is_file()
