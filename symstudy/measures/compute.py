"""Computing the measures of a pack: what is always recorded, and what a study names.

Shapes: K runs.
"""

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from symstudy.components.foreign_draws import called_and_drawn
from symstudy.components.own_code import load_own
from symstudy.errors import ModelError
from symstudy.measures.attention_views import AttentionView, HeadsView, HeadWeights
from symstudy.measures.catalogue import (
    ATTENTION_MEASURES,
    BUILTIN,
    MEASURES,
    find_measure,
    find_pair_measure,
)
from symstudy.measures.declare import Measure
from symstudy.measures.feature_views import FeaturesView
from symstudy.measures.pair_view import PairView
from symstudy.measures.symmetries import METHODS, of_method
from symstudy.measures.views import LayerSymmetries, LayerView, NetworkView, RunView

__all__ = [
    "attention_measures",
    "measure_extra",
    "measure_features",
    "measure_layer",
    "measure_networks",
    "measure_pair",
    "measure_runs",
]

MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)
"""What a mistake in a function of the user's own raises; errors of memory and device pass."""


@functools.cache
def found(names: tuple[str, ...]) -> tuple[Measure, ...]:
    """Return the named measures, found once in a process: its modules stay as they are."""
    return tuple(map(find_measure, names))


@functools.cache
def found_pairs(names: tuple[str, ...]) -> tuple[Measure, ...]:
    """Return the named measures of pairs, found once in a process."""
    return tuple(map(find_pair_measure, names))


@functools.cache
def function_of(item: Measure) -> Callable[[Any], Tensor]:
    """Return what computes a measure, importing its module."""
    module, _, name = item.path.partition(":")
    method = name.rpartition(".")[2]
    if item.on == "symmetry" and method in METHODS:
        return of_method(item.symmetry, method)
    if item.name in BUILTIN:
        built: Callable[[Any], Tensor] = getattr(importlib.import_module(module), name)
        return built
    own: Callable[[Any], Tensor] = load_own(item.path, "probe.measures")
    return own


def taken(item: Measure, view: Any) -> Any:
    """Return the value of a measure's function on a view.

    Raises:
        ModelError: If a function of the user's own raises what is no fault of memory or device,
            draws random numbers, or writes to what it is shown.
    """
    function = function_of(item)
    if item.name in BUILTIN:
        return function(view)
    shown = shown_by(view)
    before = versions(shown)
    try:
        value, drawn = called_and_drawn(lambda: function(view))
    except MISTAKES as error:
        raise ModelError(
            f"a measure must be taken without an error, but {item.path} raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if drawn:
        raise ModelError(
            f"a measure must draw from a generator of its own, but {item.path} draws from "
            f"{drawn}, so that its value depends on when it is taken. Write "
            "`generator=torch.Generator().manual_seed(0)` where it draws, once for all runs."
        )
    if versions(shown) != before:
        raise ModelError(
            f"a measure must leave what it is shown as it is, but {item.path} writes to a tensor "
            "of the view, which other measures and the training read. Write `.clone()` first."
        )
    return value


def shown_by(view: Any) -> list[Tensor]:
    """Return the tensors that a view holds, and those of the view of a layer's symmetries."""
    held = getattr(view, "__dict__", {})
    return [
        *(each for each in held.values() if isinstance(each, Tensor)),
        *(shown_by(held["view"]) if "view" in held else ()),
    ]


def versions(tensors: Sequence[Tensor]) -> list[int]:
    """Return how often each tensor, or one that shares its memory, was written to."""
    return [each._version for each in tensors]  # noqa: SLF001  # torch has no other name for it


def measure_layer(view: LayerView) -> dict[str, Tensor]:
    """Return every measure of `symstudy.measures.MEASURES` for the layer of `view`.

    Returns:
        By name, one number a run; `distinct_curve` has a column a threshold. `distinct_directions`
        is -1 where the activation is not homogeneous.
    """
    return {item.name: function_of(item)(view) for item in MEASURES}


def attention_measures(weights: HeadWeights) -> dict[str, Tensor]:
    """Return every measure of `symstudy.measures.ATTENTION_MEASURES` for one layer.

    Args:
        weights: Finite weights of one layer, of any precision; the measures are of float64.

    Returns:
        By name, one number a run.
    """
    return measure_heads(HeadsView(weights))


def measure_heads(view: HeadsView) -> dict[str, Tensor]:
    """Return every measure of `symstudy.measures.ATTENTION_MEASURES` for the heads of `view`."""
    return {item.name: function_of(item)(view) for item in ATTENTION_MEASURES}


def measure_extra(view: LayerView | AttentionView, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named measures of the layer of `view`, one number a run.

    Args:
        view: The layer of a pack.
        names: Of measures of layers; those of networks and runs are passed over.

    Returns:
        By name; NaN, or -1 for a count, where the layer has no such symmetry. What is measured of
        neurons is left out for an attention layer, and the other way round.

    Raises:
        ModelError: If a measure of the user's own does not return one number a run.
    """
    symmetries = LayerSymmetries(view)
    views: dict[str, Any] = {"symmetry": symmetries}
    if isinstance(view, LayerView):
        views["layer"] = view
    else:
        views["attention"] = view.heads
    return {
        item.name: one_a_run(item, taken(item, views[item.on]), len(view.theta_KP))
        for item in found(tuple(names))
        if item.on in views
    }


def one_a_run(item: Measure, value: Any, runs: int) -> Tensor:
    """Return the value of a measure as the column of its kind.

    Raises:
        ModelError: If it is not one number a run.
    """
    if item.name in BUILTIN:
        built: Tensor = value
        return built
    if item.kind == "vector":
        return one_vector_a_run(item, value, runs)
    if not isinstance(value, Tensor) or tuple(value.shape) != (runs,):
        shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ModelError(
            f"a measure must return one number a run, a tensor of shape [{runs}] for this pack, "
            f"but {item.path} returned {shape}. Reduce over every axis but the first."
        )
    column = real(item, value)
    return whole(item, column) if item.kind == "count" else column


def one_vector_a_run(item: Measure, value: Any, runs: int) -> Tensor:
    """Return the value of a measure of kind vector, in float64.

    Raises:
        ModelError: If it is not a row of numbers a run.
    """
    if not isinstance(value, Tensor) or value.dim() != 2 or len(value) != runs:
        shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ModelError(
            f'a measure of kind "vector" must return a row of numbers a run, a tensor of shape '
            f"[{runs}, numbers] for this pack, but {item.path} returned {shape}. Flatten the axes "
            "behind the first."
        )
    return real(item, value)


def real(item: Measure, value: Tensor) -> Tensor:
    """Return the value of a measure in float64.

    Raises:
        ModelError: If it is complex.
    """
    if value.is_complex():
        raise ModelError(
            f"a measure must return real numbers, but {item.path} returned {value.dtype}. Take "
            "their absolute values, or their real parts."
        )
    column: Tensor = value.detach().double()
    return column


def whole(item: Measure, column_K: Tensor) -> Tensor:
    """Return counts as integers, -1 where they are not a number: missing.

    Raises:
        ModelError: If a count is not whole, or below -1.
    """
    counts_K = torch.where(column_K.isnan(), -1.0, column_K)
    wrong_K = (counts_K != counts_K.round()) | (counts_K < -1) | counts_K.isinf()
    if bool(wrong_K.any()):
        raise ModelError(
            'a measure of kind "count" must return whole numbers from 0 on, or -1 where it does '
            f"not apply, but {item.path} returned {float(counts_K[wrong_K][0])!r}. Declare it with "
            'kind="number".'
        )
    found_K: Tensor = counts_K.long()
    return found_K


def measure_networks(view: NetworkView, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named measures of networks: a number a run, or a vector.

    A count is a float, or NaN.

    Raises:
        ModelError: If one does not return one number, or one vector, a run.
    """
    return whole_networks("network", view, names, len(view.theta_KP))


def measure_features(view: FeaturesView, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named measures of features: a number a run, or a vector.

    Raises:
        ModelError: If one does not return one number, or one vector, a run.
    """
    return whole_networks("features", view, names, len(view.features_KBF))


def whole_networks(on: str, view: Any, names: Sequence[str], runs: int) -> dict[str, Tensor]:
    """Return the named measures that are taken `on` whole networks or their features."""
    return {
        item.name: present(item, one_a_run(item, taken(item, view), runs))
        for item in found(tuple(names))
        if item.on == on
    }


def measure_pair(view: PairView, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named measures of two layers of two runs, a number for each comparison.

    Raises:
        ModelError: If a measure of the user's own does not return one number a comparison.
    """
    items = found_pairs(tuple(names))
    comparisons = len(view.orders_KB)
    return {item.name: one_a_run(item, taken(item, view), comparisons).double() for item in items}


def present(item: Measure, column_K: Tensor) -> Tensor:
    """Return a measure as floats, NaN for a count that is missing."""
    numbers_K: Tensor = column_K.double()
    return torch.where(numbers_K < 0, torch.nan, numbers_K) if item.kind == "count" else numbers_K


def measure_runs(views: Sequence[RunView], names: Sequence[str]) -> dict[str, list[float]]:
    """Return the named measures of runs, one number for each of `views`.

    Raises:
        ModelError: If one does not return a number.
    """
    return {
        item.name: [one_number(item, taken(item, view)) for view in views]
        for item in found(tuple(names))
        if item.on == "run"
    }


def one_number(item: Measure, value: Any) -> float:
    """Return the value of a measure of a run; NaN where a count is missing.

    Raises:
        ModelError: If it is not a number, or a count that is not whole.
    """
    # Text is no number, though it may read as one.
    given: Any = None if isinstance(value, str | bytes) else value
    try:
        number = float(given)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"a measure on a run must return a number, but {item.path} returned "
            f"{type(value).__name__}."
        ) from error
    if item.kind != "count":
        return number
    return float(present(item, whole(item, torch.tensor([number], dtype=torch.float64))))
