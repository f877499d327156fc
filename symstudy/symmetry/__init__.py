"""Symmetries of parameters: one file a row of Table 1 of arXiv:2502.05300.

Importing this package loads no torch; its modules that compute do.
"""

from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.registry import (
    SYMMETRIES,
    SymmetryEntry,
    build_symmetry,
    find_symmetry,
    symmetries_of,
)

__all__ = [
    "SYMMETRIES",
    "SymmetryEntry",
    "build_symmetry",
    "find_symmetry",
    "symmetries_of",
    "symmetry",
]
