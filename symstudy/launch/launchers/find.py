"""Launchers by name: built-in, installed, or a class of the user's own.

A built-in launcher is a file of this folder that defines one launcher class; `base.py` and this
file aside, each file is one. A package that is installed declares its own in the entry-point group
`symstudy.launchers`. Any other is named as `package.module:Class`.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path

from symstudy.errors import LaunchError, unknown_name
from symstudy.installed import installed_points
from symstudy.launch.launchers.base import AbstractLauncher

__all__ = ["GROUP", "find_launcher", "launcher_names"]

GROUP = "symstudy.launchers"
"""Entry-point group of launchers that other packages install."""

PACKAGE = __name__.rpartition(".")[0]
CONTRACTS = ("base", "find")
"""Files of this folder that define no launcher."""


def find_launcher(name: str, places: Iterable[Path] = ()) -> type[AbstractLauncher]:
    """Return the launcher class called `name`, importing no other.

    Args:
        name: A name of `launcher_names`, or `package.module:Class`.
        places: Folders that such a module is looked for in, after what Python can import: that of
            the study file. The working directory is searched after these.

    Raises:
        UnknownNameError: If there is no launcher of that name.
        LaunchError: If it cannot be imported or is no launcher.
    """
    if ":" in name:
        for place in (*places, Path.cwd()):
            if str(place) not in sys.path:
                sys.path.append(str(place))
        return import_launcher(name, name)
    installed = installed_launchers()
    if name in built_in_names():
        if name in installed:
            raise LaunchError(
                f"names of launchers must differ, but {name!r} is built in and also "
                f"{installed[name].value}. Name the latter by that path instead."
            )
        module = importlib.import_module(f"{PACKAGE}.{name}")
        (found,) = (
            kind
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if kind.__module__ == module.__name__ and issubclass(kind, AbstractLauncher)
        )
        return found
    if name in installed:
        return import_launcher(name, installed[name].value)
    raise unknown_name("--launcher", name, launcher_names())


def launcher_names() -> list[str]:
    """Return the names of all built-in and installed launchers, importing none."""
    return sorted({*built_in_names(), *installed_launchers()})


def built_in_names() -> list[str]:
    """Return the names of the built-in launchers: the files of this folder."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [module.name for module in modules if module.name not in CONTRACTS]


def installed_launchers() -> dict[str, EntryPoint]:
    """Return the launchers that installed packages declare, by name."""
    return {point.name: point for point in installed_points(GROUP)}


def import_launcher(name: str, path: str) -> type[AbstractLauncher]:
    """Return the class at `path`, which is `package.module:Class`.

    Raises:
        LaunchError: If it cannot be imported or is no launcher.
    """
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LaunchError(
            f"--launcher must be importable, but got {name!r}: {error}. Type it as "
            f"package.module:Class, or one of {', '.join(launcher_names())}."
        ) from error
    if not (isinstance(found, type) and issubclass(found, AbstractLauncher)):
        raise LaunchError(
            f"--launcher must be a subclass of symstudy.launch.AbstractLauncher, but {path!r} is "
            f"not. Known: {', '.join(launcher_names())}."
        )
    return found
