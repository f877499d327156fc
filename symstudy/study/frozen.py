"""What of a study is fixed before the data: a hash of all settings that decide, and its seeds."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from symstudy.identity import canonical_json, digest
from symstudy.study.study import Study

__all__ = [
    "cells_hash",
    "fresh_seeds",
    "merged_ranges",
    "num_seeds",
    "seed_ranges",
    "settings_hash",
    "taken_seeds",
]


NO_SETTINGS = ("seeds", "places")
"""Attributes of a search that are told apart, or say where modules of the user's own lie."""


def settings_hash(study: Study) -> str:
    """Return the hash of all that decides the runs of a study but their seeds: cells, or search."""
    if study.search is None:
        return cells_hash(cell.cell_id for cell in study.cells)
    values = dataclasses.asdict(study.search)
    for key in NO_SETTINGS:
        del values[key]
    # Points may hold numbers of numpy.
    return digest(canonical_json(json.loads(json.dumps(values, default=str, sort_keys=True))))


def cells_hash(cell_ids: Iterable[str]) -> str:
    """Return the hash of the settings of a grid, by the identifiers of its cells in any order."""
    return digest("cells|" + "|".join(sorted(set(cell_ids))))


def seed_ranges(seeds: Iterable[int]) -> list[list[int]]:
    """Return seeds as ranges, first and last of each: `[[0, 4], [7, 7]]`."""
    ranges: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if ranges and ranges[-1][1] == seed - 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ranges


def merged_ranges(ranges: Iterable[Any]) -> list[list[int]]:
    """Return ranges sorted and without overlap; what is no range is passed over.

    None is written out seed by seed: the file may be somebody else's, and a range may be long.
    """
    sound = [
        each
        for each in ranges
        if isinstance(each, list)
        and len(each) == 2
        and all(type(end) is int for end in each)
        and each[0] <= each[1]
    ]
    merged: list[list[int]] = []
    for low, high in sorted(sound):
        if merged and low <= merged[-1][1] + 1:
            merged[-1][1] = max(high, merged[-1][1])
        else:
            merged.append([low, high])
    return merged


def num_seeds(ranges: Iterable[Any]) -> int:
    """Return how many seeds ranges hold, each counted once."""
    return sum(high - low + 1 for low, high in merged_ranges(ranges))


def taken_seeds(seeds: Iterable[int], ranges: Iterable[Any]) -> list[int]:
    """Return which of `seeds` are in ranges."""
    merged = merged_ranges(ranges)
    return [seed for seed in seeds if any(low <= seed <= high for low, high in merged)]


def fresh_seeds(count: int, ranges: Iterable[Any]) -> list[int]:
    """Return `count` seeds that are in none of the ranges: those that follow the largest."""
    merged = merged_ranges(ranges)
    first = merged[-1][1] + 1 if merged else 0
    return list(range(first, first + count))
