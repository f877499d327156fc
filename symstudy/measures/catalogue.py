"""The measures by name, read from their declarations without torch.

Built-in measures are the functions with `@measure` in the files of this package, and what every
symmetry has: `<kind>_distance` and `<kind>_breaking`. Installed packages add measures by the
entry-point group `symstudy.measures`; a study file may also name a function `package.module:name`
of the user's own, or `package.module:Class.method` of a symmetry of the user's own, with one of the
methods of `SYMMETRY_METHODS`.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from symstudy.components.declarations import (
    Declaration,
    builtin_declarations,
    declarations_in,
    find_declaration,
)
from symstudy.components.own_code import load_own
from symstudy.errors import ModelError, ProjectError, choices, unknown_name
from symstudy.installed import installed_points
from symstudy.measures.declare import Kind, Measure, On
from symstudy.symmetry.registry import SYMMETRIES, SymmetryEntry, find_symmetry

__all__ = [
    "ATTENTION_MEASURES",
    "EXTRA_MEASURES",
    "LAYER_MEASURES",
    "MEASURES",
    "NETWORK_MEASURES",
    "PAIR_MEASURES",
    "SYMMETRY_METHODS",
    "Measure",
    "columns_of_pair",
    "find_measure",
    "find_pair_measure",
    "installed_measures",
    "layer_columns",
    "measures_in",
    "measures_on",
    "network_columns",
    "run_columns",
    "vector_columns",
]

KEY = "probe.measures"
PAIR_KEY = "pairs.measures"
RESERVED_OF_PAIRS = (
    *("study", "run_a", "run_b", "step_a", "step_b", "layer_a", "layer_b", "is_last"),
    *("pair_between", "pair_settings", "measured_at"),
)
"""Columns of pairs that are no measures."""
GROUP = "symstudy.measures"
PLACES = get_args(On)
OF_NETWORKS = ("network", "features")
"""What measures are taken of that are one number, or one vector, a network."""

SYMMETRY_METHODS: dict[str, Kind] = {
    "distance": "number",
    "normalised_distance": "number",
    "orbit_distance": "number",
    "breaking": "count",
}
"""Methods of a symmetry that are measures, with the kind of each."""


def declared_measure(declared: Declaration) -> Measure:
    """Return the measure that a function declares."""
    defaults = {"recorded": "if named"}
    return Measure(name=declared.name, path=declared.path, **{**defaults, **declared.keywords})


def of_symmetry(entry: SymmetryEntry, kind: str, method: str) -> Measure:
    """Return the measure that is a method of a symmetry's class.

    Args:
        entry: Row of the symmetry.
        kind: Kind by which layouts declare it: its name, or the import path of its class.
        method: One of `SYMMETRY_METHODS`.
    """
    meanings = {
        "distance": f"distance from the symmetric states of the layer's {entry.distance}",
        "breaking": entry.breaking or f"broken generators of the layer's {entry.distance}",
    }
    is_count = SYMMETRY_METHODS[method] == "count"
    return Measure(
        name=f"{entry.kind}_{method}",
        kind=SYMMETRY_METHODS[method],
        meaning=meanings.get(method, f"{method.replace('_', ' ')} of the layer's {entry.distance}"),
        source="arXiv:2502.05300, Eq. 14 and Table 1" if is_count else "arXiv:2502.05300, Eq. 3",
        on="symmetry",
        recorded="if named",
        symmetry=kind,
        path=f"{entry.path}.{method}",
    )


def listed() -> tuple[Measure, ...]:
    """Return all built-in measures: those of symmetries first, then file by file."""
    functions = [
        declared_measure(declared)
        for declared in builtin_declarations("symstudy.measures", "measure")
    ]
    named = {item.name for item in functions}
    methods = [
        measure
        for entry in SYMMETRIES.values()
        for method in ("distance", "breaking")
        for measure in [of_symmetry(entry, entry.kind, method)]
        if measure.name not in named
    ]
    return (*methods, *functions)


ALL = listed()

MEASURES: tuple[Measure, ...] = tuple(
    item for item in ALL if item.on == "layer" and item.recorded == "always"
)
"""What every study records of a layer of neurons, in the order in which it is computed."""

ATTENTION_MEASURES: tuple[Measure, ...] = tuple(
    item for item in ALL if item.on == "attention" and item.recorded == "always"
)
"""What every study records of an attention layer, in the order in which it is computed."""

EXTRA_MEASURES: tuple[Measure, ...] = tuple(
    item
    for item in ALL
    if item.on in ("layer", "attention", "symmetry") and item.recorded == "if named"
)
"""What a study records too if `[probe] measures` names it; null where a layer has no such
symmetry."""

LAYER_MEASURES: tuple[Measure, ...] = (*MEASURES, *ATTENTION_MEASURES, *EXTRA_MEASURES)
"""All measures of layers; a layer has null for those of another kind of layer."""

NETWORK_MEASURES: tuple[Measure, ...] = tuple(
    item for item in ALL if item.on in ("network", "features", "run")
)
"""Measures of whole networks, of their features and of runs, which a study records if it names
them."""

PAIR_MEASURES: tuple[Measure, ...] = tuple(item for item in ALL if item.on == "pair")
"""What is measured of two layers of two runs."""

BUILTIN = {item.name: item for item in ALL}


@functools.cache
def installed_measures() -> dict[str, str]:
    """Return the import path of each installed measure, by name.

    Raises:
        ProjectError: If two measures have the same name.
    """
    paths: dict[str, str] = {}
    for point in installed_points(GROUP):
        taken = paths.get(point.name) or BUILTIN.get(point.name)
        if taken is not None:
            first = taken.path if isinstance(taken, Measure) else taken
            raise ProjectError(
                f"measures must have different names, but {first} and {point.value} are both "
                f"called {point.name!r}. Uninstall one of the packages."
            )
        paths[point.name] = point.value
    return paths


def find_measure(name: str) -> Measure:
    """Return the measure that a study file names.

    Args:
        name: A built-in or installed name, or an import path of the user's own.

    Raises:
        UnknownNameError: If there is none of that name.
        ModelError: If the user's own is not there, or is not declared as a measure.
    """
    if name in BUILTIN:
        return BUILTIN[name]
    installed = installed_measures()
    if name in installed:
        return own_measure(installed[name])._replace(name=name)
    if ":" not in name:
        raise unknown_name(KEY, name, [*BUILTIN, *installed])
    return own_measure(name)


def find_pair_measure(name: str) -> Measure:
    """Return the measure of pairs that `[pairs] measures` names.

    Args:
        name: A built-in name, or an import path of the user's own.

    Raises:
        UnknownNameError: If there is none of that name.
        ModelError: If the user's own is not there, or is not declared as a measure of pairs.
    """
    known = {item.name: item for item in PAIR_MEASURES}
    if name in known:
        return known[name]
    if ":" not in name:
        raise unknown_name(PAIR_KEY, name, list(known))
    function = load_own(name, PAIR_KEY)
    found: Measure | None = getattr(function, "declared_measure", None)
    if found is None or found.on != "pair" or found.kind != "number":
        raise ModelError(
            f"{PAIR_KEY} must name a declared measure of pairs, but {name!r} is not. Write above "
            'it: @symstudy.measures.measure(on="pair", kind="number", meaning="...").'
        )
    short = name.rpartition(":")[2]
    taken = {*BUILTIN, *RESERVED_OF_PAIRS}.union(*map(columns_of_pair, known))
    if not taken.isdisjoint(column.lower() for column in columns_of_pair(short)):
        raise ModelError(
            f"{PAIR_KEY} must name measures that are not called like a column that is there, but "
            f"got {name!r}. Give the function another name."
        )
    return found._replace(name=short, path=name)


def columns_of_pair(name: str) -> tuple[str, str, str]:
    """Return the columns of a measure of pairs: itself, of permuted samples, and the p-value."""
    return name, f"{name}_permuted", f"{name}_p"


def own_measure(path: str) -> Measure:
    """Return the measure at an import path, read from its source where that says enough.

    Raises:
        ModelError: If there is none, or it is not declared as a measure.
    """
    target, _, method = path.partition(":")[2].partition(".")
    if method:
        cls = path.removesuffix(f".{method}")
        if method not in SYMMETRY_METHODS:
            raise ModelError(
                f"{KEY} must name a measure of a symmetry, but {path!r} ends in {method!r}. "
                f"{choices(method, list(SYMMETRY_METHODS))}"
            )
        return of_symmetry(find_symmetry(cls), cls, method)._replace(path=path)
    declared = find_declaration(path, "measure")
    if declared is not None and {"kind", "meaning"} <= set(declared.keywords):
        return checked(declared_measure(declared), path)
    function = load_own(path, KEY)
    found: Measure | None = getattr(function, "declared_measure", None)
    if found is None:
        raise ModelError(
            f"{KEY} must name a declared measure, but {path!r} is not. Write above {target}: "
            '@symstudy.measures.measure(on="layer", kind="number", meaning="...").'
        )
    return checked(found._replace(path=path), path)


def checked(item: Measure, path: str) -> Measure:
    """Return a measure of the user's own, recorded where it is named.

    Raises:
        ModelError: If it is of a kind that such a measure cannot have.
    """
    if item.on not in PLACES:
        named = ", ".join(map(repr, PLACES))
        raise ModelError(
            f"{KEY} must name a measure on one of {named}, but {path!r} has on={item.on!r}."
        )
    kinds = ("count", "number", "vector") if item.on in OF_NETWORKS else ("count", "number")
    if item.kind not in kinds:
        named = ", ".join(map(repr, kinds))
        raise ModelError(
            f"{KEY} must name a measure whose kind is one of {named} on {item.on!r}, but {path!r} "
            f"has kind={item.kind!r}."
        )
    return item._replace(recorded="if named")


def measures_in(folder: Path) -> list[Measure]:
    """Return the measures that the modules in a folder declare, which it does not import.

    What could not be recorded is left out: naming it in a study says why.
    """
    return [
        declared_measure(declared)._replace(recorded="if named")
        for declared in declarations_in(folder, "measure")
        if {"kind", "meaning"} <= set(declared.keywords) <= set(Measure._fields)
    ]


def measures_on(names: Iterable[str], *places: str) -> tuple[Measure, ...]:
    """Return the measures among `names` that are taken of one of `places`, in their order."""
    return tuple(item for item in map(find_measure, names) if item.on in places)


def layer_columns(names: Iterable[str]) -> tuple[Measure, ...]:
    """Return the measures of layers among `names` that are not built in: more columns."""
    found = measures_on(names, "layer", "attention", "symmetry")
    return tuple(item for item in found if item.name not in BUILTIN)


def network_columns(names: Iterable[str]) -> tuple[Measure, ...]:
    """Return the numbers of networks and features among `names`: columns of `history` and `runs`.

    Counts are among them.
    """
    return tuple(item for item in measures_on(names, *OF_NETWORKS) if item.kind != "vector")


def vector_columns(names: Iterable[str]) -> tuple[Measure, ...]:
    """Return the vectors of networks and features among `names`: columns of `runs` alone."""
    return tuple(item for item in measures_on(names, *OF_NETWORKS) if item.kind == "vector")


def run_columns(names: Iterable[str]) -> tuple[Measure, ...]:
    """Return the measures of runs among `names`: columns of `runs` alone."""
    return measures_on(names, "run")
