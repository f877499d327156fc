"""Symmetries of parameters and the measures of their breaking.

Importing this package loads no torch; its modules `neurons`, `ranks` and `layers` do.
"""

from symstudy.symmetry.catalogue import (
    CURVE_THRESHOLDS,
    EPSILON_DIRECTION,
    EPSILON_RELATIVE,
    MEASURES,
    Measure,
)

__all__ = ["CURVE_THRESHOLDS", "EPSILON_DIRECTION", "EPSILON_RELATIVE", "MEASURES", "Measure"]
