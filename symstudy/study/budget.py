"""The part of a study that fits a given time: fewer seeds first, then a coarser grid.

Every choice is balanced: each cell that is kept has the same seeds, so that means over seeds have
the same variance everywhere, and what a claim compares is compared like with like. Seeds go first,
evenly, down to `FEWEST`: they only narrow intervals, while a place of the grid that is left out is
a question that is not asked. Below that the grid is thinned evenly, an axis at a time, keeping its
ends and whatever is not a number: a range that was asked for stays the range.

The choices form one chain in which each holds the one before. So whatever is trained within a small
budget is part of what a larger one trains, and the same command with more time goes on from there.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from symstudy.errors import UserError
from symstudy.quantities import duration
from symstudy.study.cell import Cell
from symstudy.study.constants import START_S
from symstudy.study.cost import NOMINAL, Speed, estimate_cost
from symstudy.study.devices import CPU, Device
from symstudy.study.forecast import Forecast, outline
from symstudy.study.packs import as_device
from symstudy.study.sections import PackConfig
from symstudy.study.study import Study
from symstudy.study.sweep import Axis

__all__ = ["FEWEST", "Fitted", "choices_of", "entry_levels", "fit_budget"]

FEWEST = 5
"""Seeds below which none are left out: the least that the shipped claims were planned for."""


class Choice(NamedTuple):
    """A part of a study.

    Attributes:
        levels: For each axis how finely it is covered; see `entry_levels`.
        seeds: How many of the seeds, the first ones.
    """

    levels: tuple[int, ...]
    seeds: int


class Fitted(NamedTuple):
    """What of a study fits.

    Attributes:
        study: The part that fits; the whole study if it does.
        forecast: What it takes.
        seeds_left_out: Number of seeds that are left out of every cell.
        values_left_out: By axis, the values that are left out.
    """

    study: Study
    forecast: Forecast
    seeds_left_out: int
    values_left_out: dict[str, tuple[object, ...]]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.seeds_left_out == 0 and not self.values_left_out

    def describe(self) -> list[str]:
        """Return what is left out, a line each."""
        lines = []
        if self.seeds_left_out:
            total = len(self.study.seeds) + self.seeds_left_out
            lines.append(f"{self.seeds_left_out} of {total} seeds of every cell")
        for name, values in self.values_left_out.items():
            kept = next(len(a.points) for a in self.study.axes if ", ".join(a.fields) == name)
            shown = ", ".join(map(str, values))
            lines.append(f"{len(values)} of {len(values) + kept} values of {name}: {shown}")
        return lines


def fit_budget(
    study: Study,
    seconds: float,
    *,
    workers: int,
    device: str | Device = "cpu",
    speed: Speed = NOMINAL,
    planned: Collection[str] = (),
) -> Fitted:
    """Return the largest part of `study` that is estimated to end within `seconds`.

    Args:
        study: A grid.
        seconds: Wall time from the start to the end.
        workers: Packs at the same time.
        device: A device, or its name.
        speed: How it compares with the constants of the estimate.
        planned: Runs that are in the ledger already. The largest choice that they hold all runs of
            is taken even if it does not fit: what was begun is ended, and the same command chooses
            the same again.

    Raises:
        UserError: If not even the smallest choice fits, or the study is a search.
        UnknownNameError: If there is no such device.
    """
    if study.is_program:
        raise UserError(
            f"--budget must be of a study whose runs' cost is known beforehand, but {study.name!r} "
            "runs a program. Leave --budget out; Ctrl-C stops it, and the same command goes on."
        )
    if study.search is not None:
        raise UserError(
            "--budget must be for a grid, but this study is a search, which has a budget of its "
            "own. Type search.trials=N for fewer trials; `symstudy plan` tells how long they take."
        )
    choices = choices_of(study)
    parts = [Part(study, choice) for choice in choices]
    quick = quick_estimate(study, workers, device, speed)

    begun = -1
    if planned:
        held = set(planned)
        begun = max(
            (i for i, p in enumerate(parts) if held.issuperset(r.run_id for r in p.make().runs())),
            default=-1,
        )
    # The quick estimate knows no packs, so it is a little too low; the packs have the last word.
    place = max(sum(quick(part) <= seconds for part in parts) - 1, begun, 0)
    while True:
        fitting = parts[place].make()
        drawn = outline(fitting.runs(), fitting.pack, workers=workers, device=device, speed=speed)
        found = drawn.forecast._replace(wall=drawn.wall)
        if found.wall <= seconds or place == begun:
            return Fitted(fitting, found, *left_out(study, fitting))
        if place == 0:
            raise too_small(fitting, found, seconds, workers)
        place -= 1


class Part:
    """The part of a study that a choice keeps."""

    def __init__(self, study: Study, choice: Choice) -> None:
        """Work out which places of each axis are kept."""
        self.study = study
        self.choice = choice
        self.places = [
            [i for i, entry in enumerate(entry_levels(axis)) if entry <= level]
            for axis, level in zip(study.axes, choice.levels, strict=True)
        ]

    def cells(self) -> Sequence[int]:
        """Return the places of the grid that are kept."""
        if not self.study.axes:
            return range(len(self.study.places))
        strides = [
            math.prod(len(axis.points) for axis in self.study.axes[i + 1 :])
            for i in range(len(self.study.axes))
        ]
        return [
            sum(i * stride for i, stride in zip(place, strides, strict=True))
            for place in itertools.product(*self.places)
        ]

    def make(self) -> Study:
        """Return it as a study."""
        study = self.study
        places = [study.places[i] for i in self.cells()]
        return dataclasses.replace(
            study,
            cells=tuple(study.cells[at] for at in dict.fromkeys(places)),
            places=tuple(renumbered(places)),
            seeds=study.seeds[: self.choice.seeds],
            axes=tuple(
                Axis(axis.fields, tuple(axis.points[i] for i in places))
                for axis, places in zip(study.axes, self.places, strict=True)
            ),
        )


def renumbered(places: Sequence[int]) -> list[int]:
    """Return `places` with its numbers in order of appearance."""
    order: dict[int, int] = {}
    return [order.setdefault(place, len(order)) for place in places]


def choices_of(study: Study) -> list[Choice]:
    """Return the chain of choices, from the smallest to the whole study; each holds the one before.

    From the ends of every axis the axis that has the smallest share of its values gets its next
    level, until the grid is whole; all of that with the fewest seeds. Then come the seeds.
    """
    entries = [entry_levels(axis) for axis in study.axes]
    levels = [0] * len(entries)
    fewest = min(FEWEST, len(study.seeds))
    chain = [Choice(tuple(levels), fewest)]
    while True:
        shares = [
            (sum(entry <= level for entry in axis) / len(axis), i)
            for i, (axis, level) in enumerate(zip(entries, levels, strict=True))
            if level < max(axis)
        ]
        if not shares:
            break
        levels[min(shares)[1]] += 1
        chain.append(Choice(tuple(levels), fewest))
    whole = tuple(levels)
    chain += [Choice(whole, count) for count in range(fewest + 1, len(study.seeds) + 1)]
    return chain


def entry_levels(axis: Axis) -> list[int]:
    """Return for each place of an axis the level from which on it is kept.

    Level 0 keeps both ends of the numbers, the next one their middle, then the middles of the
    halves, and so on. Where axes are zipped and some field repeats its values, as a depth that has
    its own values of gamma, each of these values is thinned by itself. What is not a number is
    always kept: halves of a list of names would be no coarser grid, but other questions.
    """
    levels = [0] * len(axis.points)
    groups: dict[tuple[object, ...], list[int]] = {}
    fields = list(zip(*axis.points, strict=True))
    runs_through = [is_number(values) and len(set(values)) == len(values) for values in fields]
    if not any(runs_through):
        runs_through = [is_number(values) and len(set(values)) > 1 for values in fields]
        # The field with most values runs within groups of the others.
        counts = [len(set(v)) if r else 0 for v, r in zip(fields, runs_through, strict=True)]
        runs_through = [i == counts.index(max(counts)) and c > 0 for i, c in enumerate(counts)]
    if not any(runs_through):
        return levels
    along = runs_through.index(True)
    for place, point in enumerate(axis.points):
        others = tuple(
            value
            for value, values, runs in zip(point, fields, runs_through, strict=True)
            if not runs and len(set(values)) < len(values)
        )
        groups.setdefault(others, []).append(place)
    for places in groups.values():
        places.sort(key=lambda place: axis.points[place][along])
        for order, level in enumerate(bisection_levels(len(places))):
            levels[places[order]] = level
    return levels


def is_number(values: Sequence[object]) -> bool:
    """Return whether all `values` are numbers."""
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def bisection_levels(count: int) -> list[int]:
    """Return for each of `count` places in a row at which halving of the gaps it is reached."""
    levels = [0] * count
    gaps = [(0, count - 1)]
    for level in itertools.count(1):
        gaps = [gap for gap in gaps if gap[1] - gap[0] > 1]
        if not gaps:
            return levels
        middles = [(low + high) // 2 for low, high in gaps]
        for middle in middles:
            levels[middle] = level
        gaps = [
            half
            for (low, high), middle in zip(gaps, middles, strict=True)
            for half in ((low, middle), (middle, high))
        ]
    raise AssertionError("every gap is halved until none is left")


def quick_estimate(
    study: Study, workers: int, device: str | Device, speed: Speed
) -> Callable[[Part], float]:
    """Return a function from a part to the seconds that it takes at least."""
    firsts = {cell.shape: cell for cell in study.cells}
    costs = {
        shape: least_seconds(cell, study.pack, as_device(device)) * speed.factor(shape)
        for shape, cell in firsts.items()
    }

    def estimate(part: Part) -> float:
        kept = dict.fromkeys(study.places[i] for i in part.cells())
        counts = Counter(study.cells[at].shape for at in kept)
        total = sum(costs[shape] * count for shape, count in counts.items())
        return START_S + total * part.choice.seeds / workers

    return estimate


def least_seconds(cell: Cell, config: PackConfig, device: Device) -> float:
    """Return how long one run takes, on the CPU if that is faster and `config` leaves it open."""
    devices = [device, CPU] if config.device != "cuda" else [device]
    return min(estimate_cost(cell, device=each, engine=config.engine).seconds for each in devices)


def left_out(study: Study, part: Study) -> tuple[int, dict[str, tuple[object, ...]]]:
    """Return how many seeds, and which values of which axes, `part` leaves out of `study`."""
    values = {}
    for whole, kept in zip(study.axes, part.axes, strict=True):
        missing = tuple(point for point in whole.points if point not in kept.points)
        if missing:
            single = len(whole.fields) == 1
            values[", ".join(whole.fields)] = tuple(p[0] if single else p for p in missing)
    return len(study.seeds) - len(part.seeds), values


def too_small(smallest: Study, found: Forecast, seconds: float, workers: int) -> UserError:
    """Return the error for a budget that nothing fits."""
    runs = len(smallest.cells) * len(smallest.seeds)
    wall = math.ceil(found.wall)
    least = f"{wall}s" if wall < 120 else f"{math.ceil(wall / 60)}min"
    return UserError(
        f"--budget must be at least {least}, which the smallest choice "
        f"takes ({len(smallest.cells)} cells at the ends of the axes x {len(smallest.seeds)} seeds "
        f"= {runs} runs on {workers} workers), but got {duration(seconds)}. Give it more time or "
        "more --workers, or make the study smaller, as with seed=3 or fewer train.steps."
    )
