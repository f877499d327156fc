"""Layouts of modules that declare none."""

from symstudy.symmetry.derivation.capture import Capture, capture_hidden
from symstudy.symmetry.derivation.derived import (
    Derivation,
    DerivedSymmetry,
    derive,
    derive_layout,
)

__all__ = [
    "Capture",
    "Derivation",
    "DerivedSymmetry",
    "capture_hidden",
    "derive",
    "derive_layout",
]
