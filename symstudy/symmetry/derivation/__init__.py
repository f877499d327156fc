"""Layouts of modules that declare none."""

from symstudy.symmetry.derivation.candidates import Refusal
from symstudy.symmetry.derivation.capture import Capture, capture_hidden
from symstudy.symmetry.derivation.derived import (
    Derivation,
    DerivedSymmetry,
    derive,
    derive_layout,
)
from symstudy.symmetry.derivation.function import ModuleFunction

__all__ = [
    "Capture",
    "Derivation",
    "DerivedSymmetry",
    "ModuleFunction",
    "Refusal",
    "capture_hidden",
    "derive",
    "derive_layout",
]
