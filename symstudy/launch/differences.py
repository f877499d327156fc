"""How the cells of a study differ from those that its folder holds: what has changed since."""

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from symstudy.components.own_code import code_of
from symstudy.study.program_cells import flattened

__all__ = ["tell_difference"]

TOLD = 4
"""Keys that are told, at most."""
COMPARED = 200
"""Cells of each side that are compared, at most: those of a grid differ from others alike."""
SOURCES = {
    "model.source": "model.kind",
    "data.data_source": "data.kind",
    "train.loss_source": "train.loss",
    "train.optimizer_source": "train.optimizer",
    "train.schedule_source": "train.schedule",
}
"""Keys that identify code of the user's own, and the key of a study file that names it."""


def tell_difference(held: Iterable[str], wanted: Iterable[str]) -> str:
    """Return in which keys the nearest two of two sets of cells differ; empty if there are none.

    Args:
        held: Canonical JSON of cells that a folder holds.
        wanted: Canonical JSON of cells of the study to train.
    """
    olds, news = (
        [flattened(json.loads(config)) for config in itertools.islice(side, COMPARED)]
        for side in (held, wanted)
    )
    pairs = [(old, new, differing(old, new)) for old in olds for new in news]
    if not pairs:
        return ""
    old, new, keys = min(pairs, key=lambda pair: len(pair[2]))
    if not keys:
        return "The nearest cells are the same, with other seeds."
    told = [one_difference(key, old, new) for key in keys[:TOLD]]
    more = f" and {len(keys) - TOLD} keys more" if len(keys) > TOLD else ""
    return f"The nearest cells differ in {'; '.join(told)}{more}."


def one_difference(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return how two cells differ in a key."""
    naming = SOURCES.get(key)
    if naming is not None and old.get(naming) == new.get(naming):
        has_no_code = naming == "data.kind" and ":" not in str(new[naming])
        if has_no_code or code_of(str(old.get(key))) == code_of(str(new.get(key))):
            return f"the files that {naming} = {new[naming]!r} reads, which have changed since"
        return f"the code of {naming} = {new[naming]!r}, which has changed since"
    return f"{key} ({shown(key, old)} there, {shown(key, new)} here)"


def shown(key: str, cell: Mapping[str, Any]) -> str:
    """Return a value of a cell as text."""
    text = repr(cell[key]) if key in cell else "none"
    return text if len(text) <= 40 else f"{text[:36]}..."


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two cells differ."""
    return sorted(
        key for key in old.keys() | new.keys() if key not in old or key not in new
        or old[key] != new[key]
    )  # fmt: skip
