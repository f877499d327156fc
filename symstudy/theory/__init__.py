"""Theory in numbers: bounds, equilibria, matching, paths, functional dimension.

Importing this package loads no torch; the names of `HOMES` are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symstudy.theory.functional_dimension import FunctionalDimension
    from symstudy.theory.matching import Matching, match_activations, match_weights
    from symstudy.theory.neuron_maps import NeuronMap, balance, random_neuron_map
    from symstudy.theory.orbits import (
        Orbit,
        Teleport,
        double_rotation_orbit,
        rescaling_orbit,
        symmetry_path,
        teleport,
    )
    from symstudy.theory.paths import (
        Barrier,
        BarrierStudy,
        barriers_modulo_symmetry,
        line_barrier,
        linear_path,
    )

__all__ = [
    "Barrier",
    "BarrierStudy",
    "FunctionalDimension",
    "Matching",
    "NeuronMap",
    "Orbit",
    "Teleport",
    "balance",
    "barriers_modulo_symmetry",
    "double_rotation_orbit",
    "line_barrier",
    "linear_path",
    "match_activations",
    "match_weights",
    "random_neuron_map",
    "rescaling_orbit",
    "symmetry_path",
    "teleport",
]

HOMES = {
    "Barrier": "paths",
    "BarrierStudy": "paths",
    "FunctionalDimension": "functional_dimension",
    "Matching": "matching",
    "NeuronMap": "neuron_maps",
    "Orbit": "orbits",
    "Teleport": "orbits",
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


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name

    def __getattr__(name: str) -> Any:
        """Return a public name that computes, loading its module and torch."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
