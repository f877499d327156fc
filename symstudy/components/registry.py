"""Finding components by name: built in, installed, or the user's own.

Built-in components are found by folder: every file of the group's package that declares a class
with `@component`, listed by its syntax tree, so that listing imports nothing. Installed packages
add components by the entry-point group of the same name, such as `symstudy.datasets`. A study file
may also name one as `package.module:Name`.
"""

import ast
import functools
import importlib
from importlib import resources
from typing import Any, NamedTuple

from symstudy.components.component import Component
from symstudy.errors import ProjectError, unknown_name
from symstudy.installed import installed_points

__all__ = ["GROUPS", "Entry", "entries_of", "find_component", "known_names", "load_all"]

GROUPS = {
    "models": "model.kind",
    "datasets": "data.kind",
    "losses": "train.loss",
    "optimizers": "train.optimizer",
    "schedules": "train.schedule",
}
"""Groups of components that a study file chooses from, with the key that names one."""


class Entry(NamedTuple):
    """Where a component is declared.

    Attributes:
        kind: Its name in a study file.
        path: Import path of its class, `module:Class`.
        is_builtin: Whether it comes with symstudy.
    """

    kind: str
    path: str
    is_builtin: bool = True


@functools.cache
def entries_of(group: str) -> dict[str, Entry]:
    """Return the built-in and the installed components of a group, by name.

    Raises:
        ProjectError: If two have the same name.
    """
    found = {entry.kind: entry for entry in builtin_entries(group)}
    for point in installed_points(f"symstudy.{group}"):
        taken = found.get(point.name)
        if taken is not None:
            raise ProjectError(
                f"components of symstudy.{group} must have different names, but {taken.path} and "
                f"{point.value} are both called {point.name!r}. Uninstall one of the packages."
            )
        found[point.name] = Entry(point.name, point.value, is_builtin=False)
    return found


def builtin_entries(group: str) -> list[Entry]:
    """Return the components that the files of a group's package declare, in order of name."""
    package = f"symstudy.{group}"
    entries = []
    for item in resources.files(package).iterdir():
        file, module = item, f"{package}.{item.name.removesuffix('.py')}"
        if item.is_dir():
            file, module = item / "config.py", f"{package}.{item.name}.config"
        if not (file.name.endswith(".py") and file.is_file()):
            continue
        text = file.read_text(encoding="utf-8")
        if "@component" not in text:
            continue  # to parse what declares nothing takes half of the time
        tree = ast.parse(text)
        entries += [
            Entry(kind, f"{module}:{node.name}")
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            if (kind := declared_kind(node))
        ]
    return sorted(entries)


def declared_kind(node: ast.ClassDef) -> str:
    """Return the default of `kind` of a class with the decorator `component`; else nothing."""
    if not any(
        isinstance(mark, ast.Name) and mark.id == "component" for mark in node.decorator_list
    ):
        return ""
    for inner in node.body:
        if (
            isinstance(inner, ast.AnnAssign)
            and isinstance(inner.target, ast.Name)
            and inner.target.id == "kind"
            and isinstance(inner.value, ast.Constant)
        ):
            return str(inner.value.value)
    return ""


def known_names(group: str) -> list[str]:
    """Return the names of the built-in and installed components of a group."""
    return list(entries_of(group))


@functools.cache
def find_component(group: str, name: str) -> type[Component]:
    """Return the component called `name`, importing the module that declares it.

    Args:
        group: A group of `GROUPS`.
        name: A known name, or `package.module:Name` of the user's own.

    Raises:
        UnknownNameError: If there is none of that name.
        ModelError: If the user's own cannot be imported, or is no such component.
    """
    entries = entries_of(group)
    if name in entries:
        module, _, attribute = entries[name].path.partition(":")
        found: type[Component] = getattr(importlib.import_module(module), attribute)
        return found
    if ":" not in name:
        raise unknown_name(GROUPS[group], name, known_names(group))
    return adapted(group, name)


def adapted(group: str, name: str) -> type[Component]:
    """Return the user's own object as a component of a group.

    A group's package has a function `adapt_own(name)` that makes a component of a class or
    function of the user's, and refuses what is none.
    """
    package: Any = importlib.import_module(f"symstudy.{group}")
    made: type[Component] = package.adapt_own(name)
    return made


def load_all(group: str) -> dict[str, type[Component]]:
    """Return all built-in and installed components of a group, by name."""
    return {name: find_component(group, name) for name in known_names(group)}
