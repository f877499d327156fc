"""Numbers that the precision of a study does not tell from 0, from infinity or from one another.

Numbers of a study file have 64 bits; where `train.dtype` is float32, training has those of 32. What
is below 1.18e-38 is 0 there, and its cell would be trained as another one under a name of its own.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from symstudy.components.component import Component, items_of
from symstudy.errors import Mistake
from symstudy.study.sweep import Axis
from symstudy.study.train import Train

__all__ = ["alike_notes", "too_narrow"]

NARROW = np.finfo(np.float32)
SMALLEST, LARGEST = float(NARROW.smallest_normal), float(NARROW.max)
WIDE = frozenset({"converged", "tolerance"})
"""Keys that are held against numbers of 64 bits."""


def too_narrow(part: Component, train: Train, lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each number that `train.dtype` takes for 0 or for infinity.

    Samples of the user's own that it does not hold are a mistake too.

    Args:
        part: Model or data of a cell, or how it is trained. Arguments of the user's own code are
            its own business.
        train: How the cell is trained, resolved.
        lines: Line of each dotted key.
    """
    if train.dtype != "float32" or train.is_idle:
        return
    lost = part.lost_in_32_bits()
    if lost:
        key = f"{part.table}.{lost[0]}"
        place = lines.get(key, lines.get(f"{part.table}.kind", 0))
        yield Mistake(line=place, key=key, what=lost[1])
    if ":" in str(getattr(part, "kind", "")):
        return
    for item in items_of(part):
        name, value = item.field.name, item.value
        if not isinstance(value, float) or name in WIDE or not is_lost(value):
            continue
        key = f"{part.table or 'train'}.{name}"
        is_large = abs(value) > 1.0
        bound = f"at most {LARGEST:.3g}" if is_large else f"0, or at least {SMALLEST:.3g}"
        yield Mistake(
            line=lines.get(key, lines.get("sweep", 0)),
            key=key,
            what=f"must be {bound} in size in the 32 bits of train.dtype, but got {value!r}. Type "
            f'{"" if is_large else "0 if that is meant, or "}train.dtype = "float64"',
        )


def is_lost(value: float) -> bool:
    """Return whether 32 bits take a finite number for 0 or for infinity."""
    return 0.0 < abs(value) < SMALLEST or (math.isfinite(value) and abs(value) > LARGEST)


def alike_notes(axes: Iterable[Axis], *, dtype: str) -> Iterator[str]:
    """Yield a note on values of an axis that training in `dtype` takes for one number.

    Args:
        axes: Of a sweep, or of the lists of a search.
        dtype: Precision of the cells, the least where it varies.
    """
    for axis in axes if dtype == "float32" else ():
        for place, name in enumerate(axis.fields):
            if name.rpartition(".")[2] in WIDE:
                continue
            values = sorted({v for p in axis.points if isinstance(v := p[place], float)})
            for one, other in itertools.pairwise(values):
                if one != other and np.float32(one) == np.float32(other):
                    yield (
                        f"{name}: {one!r} and {other!r} are one number in the 32 bits of "
                        "train.dtype, which their cells are trained in. Leave one out, or type "
                        'train.dtype = "float64"'
                    )
