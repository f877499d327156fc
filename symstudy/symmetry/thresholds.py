"""Thresholds of symmetry breaking: above which a number counts as different from zero."""

__all__ = [
    "CURVE_THRESHOLDS",
    "EPSILON_ABSOLUTE",
    "EPSILON_DIRECTION",
    "EPSILON_DYNAMICS",
    "EPSILON_EXACT",
    "EPSILON_RELATIVE",
    "LEAST_GAP",
    "PRODUCT_VALUES",
    "RANK_THRESHOLD",
]

EPSILON_RELATIVE = 0.02
"""Threshold of symmetry breaking, relative to the largest neuron of the layer."""

EPSILON_ABSOLUTE = 1e-8
"""Threshold below which a number is zero, where there is nothing to compare it with."""

EPSILON_DYNAMICS = 0.1
"""Absolute threshold above which a pair or a direction counts as broken while a network learns from
a small start: relative to the largest, all would be broken from the first step on."""

EPSILON_DIRECTION = 0.05
"""Threshold of the distance of two unit directions."""

CURVE_THRESHOLDS = (0.001, 0.003, 0.01, 0.02, 0.03, 0.1, 0.3)
"""Relative thresholds at which neurons are also counted, since a count depends on its threshold."""

EPSILON_EXACT = 1e-6
"""Relative threshold of what is equal or zero up to round-off: both come from Gram matrices, whose
roots are off by 1e-8 of the largest."""

LEAST_GAP = 10.0
"""Ratio of two merge heights next to each other from which there is a gap: below it are copies,
apart by noise, above it distinct neurons."""

PRODUCT_VALUES = 4
"""How many singular values of outgoing times incoming weights have a column of their own."""

RANK_THRESHOLD = 0.01
"""Singular values above this share of the largest count towards a threshold rank."""
