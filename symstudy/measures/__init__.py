"""Measures of layers, networks and runs: one number a run and probe, declared by `@measure`.

Importing this package loads no torch; the names of `HOMES` are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from symstudy.measures.catalogue import (
    ATTENTION_MEASURES,
    EXTRA_MEASURES,
    LAYER_MEASURES,
    MEASURES,
    NETWORK_MEASURES,
    PAIR_MEASURES,
    find_measure,
    find_pair_measure,
    layer_columns,
    network_columns,
    run_columns,
)
from symstudy.measures.declare import Measure, measure

if TYPE_CHECKING:
    from symstudy.measures.attention_views import AttentionView, HeadsView, HeadWeights
    from symstudy.measures.compute import attention_measures, measure_extra, measure_layer
    from symstudy.measures.feature_views import FeaturesView
    from symstudy.measures.held_against import References
    from symstudy.measures.pair_view import PairView
    from symstudy.measures.views import LayerSymmetries, LayerView, NetworkView, RunView

__all__ = [
    "ATTENTION_MEASURES",
    "EXTRA_MEASURES",
    "LAYER_MEASURES",
    "MEASURES",
    "NETWORK_MEASURES",
    "PAIR_MEASURES",
    "AttentionView",
    "FeaturesView",
    "HeadWeights",
    "HeadsView",
    "LayerSymmetries",
    "LayerView",
    "Measure",
    "NetworkView",
    "PairView",
    "References",
    "RunView",
    "attention_measures",
    "find_measure",
    "find_pair_measure",
    "layer_columns",
    "measure",
    "measure_extra",
    "measure_layer",
    "network_columns",
    "run_columns",
]

HOMES = {
    "AttentionView": "attention_views",
    "FeaturesView": "feature_views",
    "HeadWeights": "attention_views",
    "HeadsView": "attention_views",
    "LayerSymmetries": "views",
    "LayerView": "views",
    "NetworkView": "views",
    "PairView": "pair_view",
    "References": "held_against",
    "RunView": "views",
    "attention_measures": "compute",
    "measure_extra": "compute",
    "measure_layer": "compute",
}


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name

    def __getattr__(name: str) -> Any:
        """Return a public name that computes, loading its module and torch."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
