"""The symmetries by name; a symmetry's module is imported when it is built, torch with it."""

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from symstudy.components.declarations import builtin_declarations, find_declaration
from symstudy.components.own_code import load_own
from symstudy.errors import ModelError, ProjectError, unknown_name
from symstudy.installed import installed_points
from symstudy.layout import DeclaredSymmetry, Layout
from symstudy.symmetry.declare import SymmetryEntry

if TYPE_CHECKING:
    from symstudy.symmetry.base import AbstractSymmetry

__all__ = ["SYMMETRIES", "SymmetryEntry", "build_symmetry", "find_symmetry", "symmetries_of"]

GROUP = "symstudy.symmetries"
KEY = "the kind of a declared symmetry"
ORDER = ("translation", "scaling", "rescaling", "rotation", "permutation", "double_rotation")
"""Order of Table 1; a kind that is not in it follows."""


@functools.cache
def known_symmetries() -> dict[str, SymmetryEntry]:
    """Return the built-in kinds, in the order of Table 1, and then the installed ones.

    Raises:
        ProjectError: If two have the same name.
    """
    found = {}
    for declared in builtin_declarations("symstudy.symmetry", "symmetry"):
        entry = SymmetryEntry(**declared.keywords, path=declared.path)
        found[entry.kind] = entry
    places = {kind: place for place, kind in enumerate(ORDER)}
    found = dict(sorted(found.items(), key=lambda item: places.get(item[0], len(places))))
    for point in installed_points(GROUP):
        if point.name in found:
            raise ProjectError(
                f"symmetries must have different names, but {found[point.name].path} and "
                f"{point.value} are both called {point.name!r}. Uninstall one of the packages."
            )
        found[point.name] = entry_of(point.value)._replace(kind=point.name)
    return found


class Symmetries(Mapping[str, SymmetryEntry]):
    """The built-in and installed symmetries by name, listed when they are first asked for."""

    def __getitem__(self, kind: str) -> SymmetryEntry:
        """Return the row of `kind`."""
        return known_symmetries()[kind]

    def __iter__(self) -> Iterator[str]:
        """Yield the kinds."""
        return iter(known_symmetries())

    def __len__(self) -> int:
        """Return the number of kinds."""
        return len(known_symmetries())


SYMMETRIES = Symmetries()


def entry_of(path: str) -> SymmetryEntry:
    """Return the row that the class `package.module:Class` declares.

    It is read from the source; the module is imported only where the source does not say.

    Raises:
        ModelError: If there is no such class, or it is no symmetry.
    """
    declared = find_declaration(path, "symmetry")
    if declared is not None:
        return SymmetryEntry(**declared.keywords, path=path)
    cls = load_class(path)
    row: SymmetryEntry | None = vars(cls).get("declared_symmetry")
    if row is not None:
        return row._replace(path=path)
    first = (cls.__doc__ or "").strip().partition("\n")[0]
    return SymmetryEntry(cls.kind, first, "", "", "", cls.kind, "broken generators", path)


def load_class(path: str) -> "type[AbstractSymmetry]":
    """Return the class of a symmetry by its import path.

    Raises:
        ModelError: If there is no such class, or it is no symmetry.
    """
    # By name: what lists symmetries must not depend on torch.
    contract = importlib.import_module("symstudy.symmetry.base").AbstractSymmetry
    module, _, name = path.partition(":")
    try:
        # What a built-in class imports need not be followed, as that of a user's own is.
        is_builtin = module.startswith("symstudy.symmetry.")
        cls: Any = (
            getattr(importlib.import_module(module), name) if is_builtin else load_own(path, KEY)
        )
    except ModelError as error:
        raise ModelError(
            f"{KEY} must be known or an importable package.module:Class, but got {path!r}: {error}"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, contract)):
        raise ModelError(
            f"{KEY} must be a subclass of symstudy.symmetry.base.AbstractSymmetry, but {path!r} is "
            f"{cls!r}."
        )
    found: type[AbstractSymmetry] = cls
    return found


def find_symmetry(kind: str) -> SymmetryEntry:
    """Return the row of a known kind, or of a class of the user's own, `package.module:Class`.

    Raises:
        UnknownNameError: If the kind is not known.
        ModelError: If the user's own class is not there, or is no symmetry.
    """
    known = known_symmetries()
    if kind in known:
        return known[kind]
    if ":" not in kind:
        raise unknown_name(KEY, kind, list(known))
    return entry_of(kind)


def build_symmetry(layout: Layout, declared: DeclaredSymmetry) -> "AbstractSymmetry":
    """Return the symmetry that `declared` describes; a class of one's own by its import path.

    Raises:
        UnknownNameError: If its kind is not known.
        ModelError: If the declaration lacks what its kind needs, or names no symmetry's class.
    """
    known = known_symmetries()
    if ":" not in declared.kind and declared.kind not in known:
        raise unknown_name(KEY, declared.kind, list(known))
    path = known[declared.kind].path if declared.kind in known else declared.kind
    return load_class(path)(layout, declared)


def symmetries_of(layout: Layout) -> "list[AbstractSymmetry]":
    """Return every symmetry that `layout` declares, in its order.

    Raises:
        UnknownNameError: If a kind is not known.
        ModelError: If a declaration lacks what its kind needs.
    """
    return [build_symmetry(layout, declared) for declared in layout.symmetries]
