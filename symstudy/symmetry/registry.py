"""The symmetries by name; a symmetry's module is imported when it is built, torch with it."""

import importlib
from typing import TYPE_CHECKING, NamedTuple

from symstudy.errors import ModelError, unknown_name
from symstudy.layout import DeclaredSymmetry, Layout

if TYPE_CHECKING:
    from symstudy.symmetry.base import AbstractSymmetry

__all__ = ["SYMMETRIES", "SymmetryEntry", "build_symmetry", "symmetries_of"]


class SymmetryEntry(NamedTuple):
    """One kind of symmetry: a row of Table 1 of arXiv:2502.05300.

    Attributes:
        action: What a group element does.
        applies_to: Where networks have it.
        symmetric_state: Which parameters it leaves as they are.
        conserved: What gradient flow conserves.
        path: Import path of its class, `module:Class`.
    """

    action: str
    applies_to: str
    symmetric_state: str
    conserved: str
    path: str


SYMMETRIES: dict[str, SymmetryEntry] = {
    "translation": SymmetryEntry(
        "W -> W + z c^T",
        "softmax logits, inputs in a subspace",
        "none",
        "z^T W",
        "symstudy.symmetry.translation:Translation",
    ),
    "scaling": SymmetryEntry(
        "w -> c w, c > 0",
        "weights before a normalisation",
        "none (w = 0 is singular)",
        "|w|^2",
        "symstudy.symmetry.scaling:Scaling",
    ),
    "rescaling": SymmetryEntry(
        "(u, w) -> (c u, w / c), c > 0",
        "ReLU and linear neurons",
        "u = w = 0",
        "|u|^2 - |w|^2",
        "symstudy.symmetry.rescaling:Rescaling",
    ),
    "rotation": SymmetryEntry(
        "W -> R W, R orthogonal",
        "self-supervised projectors, radial activations",
        "n^T W = 0: low rank",
        "no function",
        "symstudy.symmetry.rotation:Rotation",
    ),
    "permutation": SymmetryEntry(
        "(w_i, w_j) -> (w_j, w_i)",
        "dense layers, heads, ensembles",
        "w_i = w_j: identical neurons",
        "nothing",
        "symstudy.symmetry.permutation:Permutation",
    ),
    "double_rotation": SymmetryEntry(
        "(U, V) -> (A U, A^-T V), A invertible",
        "linear networks, query and key, value and output",
        "n^T U = n^T V = 0: common low rank",
        "U U^T - V V^T",
        "symstudy.symmetry.double_rotation:DoubleRotation",
    ),
    "sign_flip": SymmetryEntry(
        "(u, w) -> (-u, -w)",
        "neurons of an odd activation",
        "u = w = 0",
        "nothing",
        "symstudy.symmetry.sign_flip:SignFlip",
    ),
}
"""The rows of Table 1, in its order."""


def build_symmetry(layout: Layout, declared: DeclaredSymmetry) -> "AbstractSymmetry":
    """Return the symmetry that `declared` describes; a class of one's own by its import path.

    Raises:
        UnknownNameError: If its kind is not known.
        ModelError: If the declaration lacks what its kind needs, or names no symmetry's class.
    """
    if ":" not in declared.kind and declared.kind not in SYMMETRIES:
        raise unknown_name("the kind of a declared symmetry", declared.kind, list(SYMMETRIES))
    path = SYMMETRIES[declared.kind].path if declared.kind in SYMMETRIES else declared.kind
    module, _, name = path.partition(":")
    try:
        cls: type[AbstractSymmetry] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"the kind of a declared symmetry must be known or an importable package.module:Class, "
            f"but got {declared.kind!r}: {error}."
        ) from error
    return cls(layout, declared)


def symmetries_of(layout: Layout) -> "list[AbstractSymmetry]":
    """Return every symmetry that `layout` declares, in its order.

    Raises:
        UnknownNameError: If a kind is not known.
        ModelError: If a declaration lacks what its kind needs.
    """
    return [build_symmetry(layout, declared) for declared in layout.symmetries]
