"""Measures of layers and networks: one number a run and probe.

Importing this package loads no torch; the names of `HOMES` are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from symstudy.measures.catalogue import (
    ATTENTION_MEASURES,
    EXTRA_MEASURES,
    LAYER_MEASURES,
    MEASURES,
    Measure,
)

if TYPE_CHECKING:
    from symstudy.measures.attention import HeadWeights, attention_measures

__all__ = [
    "ATTENTION_MEASURES",
    "EXTRA_MEASURES",
    "LAYER_MEASURES",
    "MEASURES",
    "HeadWeights",
    "Measure",
    "attention_measures",
]

HOMES = {
    "HeadWeights": "attention",
    "attention_measures": "attention",
}


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name

    def __getattr__(name: str) -> Any:
        """Return a public name that computes, loading its module and torch."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
