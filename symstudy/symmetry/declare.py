"""`@symmetry`: declares a class as one kind of symmetry, a row of Table 1; loads no torch."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

__all__ = ["SymmetryEntry", "symmetry"]

C = TypeVar("C", bound=type[Any])


class SymmetryEntry(NamedTuple):
    """One kind of symmetry: a row of Table 1 of arXiv:2502.05300.

    Attributes:
        kind: Name of the kind.
        action: What a group element does.
        applies_to: Where networks have it.
        symmetric_state: Which parameters it leaves as they are.
        conserved: What gradient flow conserves.
        distance: What `distance` is the distance from, for the measure `<kind>_distance`.
        breaking: What `breaking` counts, for the measure `<kind>_breaking`.
        path: Import path of its class, `module:Class`.
    """

    kind: str
    action: str
    applies_to: str
    symmetric_state: str
    conserved: str
    distance: str = ""
    breaking: str = ""
    path: str = ""


def symmetry(
    *,
    kind: str,
    action: str,
    applies_to: str,
    symmetric_state: str,
    conserved: str,
    distance: str = "",
    breaking: str = "",
) -> Callable[[C], C]:
    """Declare a subclass of `AbstractSymmetry` as the symmetry called `kind`.

    All arguments are literals: they are read from the source text, before anything is imported. For
    what each is, see `SymmetryEntry`.
    """
    row = SymmetryEntry(
        kind, action, applies_to, symmetric_state, conserved, distance or kind, breaking
    )

    def declare(cls: C) -> C:
        cls.kind = kind
        cls.declared_symmetry = row._replace(path=f"{cls.__module__}:{cls.__qualname__}")
        return cls

    return declare
