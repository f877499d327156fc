"""Symmetries of parameters and the measures of their breaking.

Importing this package loads no torch; its modules that compute, such as `neurons` and `layers`, do.
The names of `HOMES` are loaded when they are first used.
"""

import importlib
from typing import Any

from symstudy.symmetry.catalogue import (
    ATTENTION_MEASURES,
    CURVE_THRESHOLDS,
    EPSILON_ABSOLUTE,
    EPSILON_DIRECTION,
    EPSILON_RELATIVE,
    EXTRA_MEASURES,
    LAYER_MEASURES,
    MEASURES,
    Measure,
)
from symstudy.symmetry.registry import SYMMETRIES, SymmetryEntry, build_symmetry, symmetries_of

__all__ = [
    "ATTENTION_MEASURES",
    "CURVE_THRESHOLDS",
    "EPSILON_ABSOLUTE",
    "EPSILON_DIRECTION",
    "EPSILON_RELATIVE",
    "EXTRA_MEASURES",
    "LAYER_MEASURES",
    "MEASURES",
    "SYMMETRIES",
    "Barrier",
    "BarrierStudy",
    "FunctionalDimension",
    "HeadWeights",
    "Matching",
    "Measure",
    "NeuronMap",
    "Orbit",
    "SymmetryEntry",
    "Teleport",
    "attention_measures",
    "balance",
    "barriers_modulo_symmetry",
    "build_symmetry",
    "double_rotation_orbit",
    "line_barrier",
    "linear_path",
    "match_activations",
    "match_weights",
    "random_neuron_map",
    "rescaling_orbit",
    "symmetries_of",
    "symmetry_path",
    "teleport",
]

HOMES = {
    "Barrier": "paths",
    "BarrierStudy": "paths",
    "FunctionalDimension": "functional_dimension",
    "HeadWeights": "attention",
    "Matching": "matching",
    "NeuronMap": "neuron_maps",
    "Orbit": "orbits",
    "Teleport": "orbits",
    "attention_measures": "attention",
    "balance": "neuron_maps",
    "barriers_modulo_symmetry": "paths",
    "double_rotation_orbit": "orbits",
    "line_barrier": "paths",
    "linear_path": "paths",
    "match_activations": "matching",
    "match_weights": "matching",
    "random_neuron_map": "neuron_maps",
    "rescaling_orbit": "orbits",
    "symmetry_path": "orbits",
    "teleport": "orbits",
}


def __getattr__(name: str) -> Any:
    """Return a public name that computes, loading its module and torch."""
    if name not in HOMES:
        raise AttributeError(f"module 'symstudy.symmetry' has no attribute {name!r}")
    return getattr(importlib.import_module(f"symstudy.symmetry.{HOMES[name]}"), name)
