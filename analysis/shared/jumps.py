"""Whether the loss of a network falls where its symmetries break: the tests of claims about it."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    Finding,
    Part,
    SeedTest,
    Verdict,
    combine,
    drawn_p,
    fisher_p,
    median_part,
)

from .traces import (
    EXIT_SPEED,
    MODES,
    Measured,
    Trace,
    arm,
    event_places,
    placebo_places,
    plateau_exits,
    scales_of,
    speeds,
)

SMALL = 1e-3
LARGE = 0.3
PASSES = 0.01
ALIKE = 1.5
"""Speed of the loss at events over that at random times, up to which they do not coincide."""
DRAWS = 2000
TIME_FACTOR = 2.0
ORDERED = 0.8
EXIT_MARGIN = 0.5
PLACEBO_MARGIN = 1e-9
PLACEBO_RULE = "faster than where the norm crosses as many levels"
LARGEST_DEEP = 0.25
"""Initial scale up to which deeper networks decide: there pairs are not yet broken at step 0."""
MIN_SEEDS = 3

UNIT = "speed of the loss at events over that at random times"

SEED_TESTS = (
    SeedTest(rule=PLACEBO_RULE, level=0.9, unit="contrast of speeds", method="sign"),
    SeedTest(rule=f"no events, or at most {ALIKE:g}", level=0.9, unit=UNIT, method="sign"),
    SeedTest(
        rule=f"share of runs at least {ORDERED}", level=0.9, unit="share of runs", method="sign"
    ),
    SeedTest(
        rule=f"within a factor {TIME_FACTOR:g} of *",
        level=0.9,
        unit="largest factor",
        method="sign",
    ),
    SeedTest(
        rule=f"* +- {EXIT_MARGIN}", level=0.9, margin=EXIT_MARGIN, unit="drops", method="sign"
    ),
)
"""The tests of one number a seed; that events lie on drops is shown run by run, and pooled."""


class Coincidence(NamedTuple):
    """How fast the loss of a run falls at its events.

    Attributes:
        at_events: Mean speed at the events.
        at_random: Mean speed at times uniform in ln t.
        p_value: Chance of at least that mean at as many times uniform in ln t.
        p_opposite: Chance of at most that mean.
        at_placebo: Mean speed where the norm of the network crosses as many equally spaced levels;
            NaN where the norm is not known or does not change.
    """

    at_events: float
    at_random: float
    p_value: float
    p_opposite: float
    at_placebo: float


def coincidence(trace: Trace, *, of_pairs: bool = False) -> Coincidence | None:
    """Compare the speeds at rank events, or pair events, with those at random times.

    Returns:
        None for a run without an event.
    """
    places = event_places(trace.pairs if of_pairs else trace.ranks)
    if not places:
        return None
    speed, times = speeds(trace), np.log(trace.steps)
    observed = float(np.mean([speed[place - 1] for place in places]))
    # The same draws for every run would make the p-values of seeds dependent.
    rng = np.random.default_rng([trace.seed, trace.depth, len(places)])
    at = rng.uniform(times[0], times[-1], size=(DRAWS, len(places)))
    drawn = speed[np.searchsorted(times, at, side="right") - 1].mean(axis=1)
    return Coincidence(
        at_events=observed,
        at_random=float(speed @ np.diff(times) / (times[-1] - times[0])),
        p_value=drawn_p(observed, drawn),
        p_opposite=drawn_p(-observed, -drawn),
        at_placebo=placebo_speed(trace, len(places)),
    )


def placebo_speed(trace: Trace, count: int) -> float:
    """Return the mean speed of the loss at as many placebo events, NaN where there are none."""
    places = placebo_places(trace.norms, count) if np.isfinite(trace.norms).all() else []
    # The step at which a level is crossed begins at the probe before.
    speed = speeds(trace)
    return float(np.mean([speed[max(place, 1) - 1] for place in places])) if places else math.nan


def judge_placebo(runs: list[Trace], name: str, *, decides: bool = True) -> Part:
    """Test that the loss falls faster at rank events than where the norm crosses levels.

    A coincidence that any growing network has says nothing of symmetry. The number of a seed is
    the difference of both speeds over their sum, so that it lies between -1 and 1.
    """
    found = [c for run in runs if (c := coincidence(run)) and math.isfinite(c.at_placebo)]
    return median_part(
        name,
        [contrast(c.at_events, c.at_placebo) for c in found],
        low=PLACEBO_MARGIN,
        rule=PLACEBO_RULE,
        unit="(events - placebo) / (|events| + |placebo|)",
        decides=decides,
        min_seeds=MIN_SEEDS,
    )


def contrast(first: float, second: float) -> float:
    """Return (first - second) / (|first| + |second|), 0 where both are."""
    total = abs(first) + abs(second)
    return (first - second) / total if total else 0.0


def judge_coincidence(
    runs: list[Trace], name: str, *, decides: bool = True, of_pairs: bool = False
) -> Part:
    """Test that rank events, or pair events, coincide with drops of the loss."""
    rule = f"pooled p < {PASSES}"
    found = [c for run in runs if (c := coincidence(run, of_pairs=of_pairs))]
    if len(found) < MIN_SEEDS:
        verdict = Verdict.UNTESTED if len(runs) < MIN_SEEDS else Verdict.INCONCLUSIVE
        return Part(name=name, verdict=verdict, rule=rule, decides=decides)
    p_value = fisher_p([c.p_value for c in found])
    opposite = fisher_p([c.p_opposite for c in found])
    verdict, chance = Verdict.INCONCLUSIVE, None
    if p_value < PASSES:
        verdict, chance = Verdict.SUPPORTED, p_value
    elif opposite < PASSES:
        verdict, chance = Verdict.REFUTED, opposite
    return Part(
        name=name,
        verdict=verdict,
        rule=rule,
        effect=float(np.mean([c.at_events / c.at_random for c in found])),
        unit=UNIT,
        decides=decides,
        p_value=chance,
    )


def judge_specificity(runs: list[Trace], name: str) -> Part:
    """Test that the loss falls hardly faster at rank events than elsewhere, or there are none.

    An absence is shown by a bound on the effect, never by a large p-value.
    """
    rule = f"no events, or at most {ALIKE:g}"
    found = [coincidence(run) for run in runs]
    if len(runs) >= MIN_SEEDS and not any(found):
        return Part(name=name, verdict=Verdict.SUPPORTED, rule=rule, seeds=len(runs))
    # A seed without an event has none that lies on a drop.
    ratios = [c.at_events / c.at_random if c else 1.0 for c in found]
    return median_part(name, ratios, high=ALIKE, rule=rule, unit=UNIT)


def judge_two_layers(traces: tuple[Trace, ...], activation: str) -> list[Part]:
    """Return the parts about one activation at two layers: what decides, and what is secondary."""
    parts = []
    beside = []
    for scale in scales_of(traces, activation, 2):
        runs = arm(traces, activation, 2, scale)
        where = f"{activation}, start {scale:g}"
        if scale <= SMALL:
            parts.append(judge_coincidence(runs, f"rank events at drops, {where}"))
            parts.append(judge_placebo(runs, f"rank events beat placebo, {where}"))
            name = f"pair events at drops, {where}"
            beside.append(judge_coincidence(runs, name, decides=False, of_pairs=True))
        elif scale >= LARGE:
            parts.append(judge_specificity(runs, f"no such coincidence, {where}"))
    small = [t for t in traces if (t.activation, t.depth) == (activation, 2) and t.scale <= SMALL]
    orthogonal = [t for t in small if len(t.targets)]
    return [*parts, *beside, *(judge_modes(orthogonal, activation) if orthogonal else ())]


def judge_deeper(traces: tuple[Trace, ...], activation: str) -> list[Part]:
    """Return the parts about networks of more layers: small starts decide, others do not."""
    parts = []
    for depth in sorted({t.depth for t in traces if t.activation == activation} - {2}):
        for scale in scales_of(traces, activation, depth):
            runs = arm(traces, activation, depth, scale)
            where = f"{activation}, {depth} layers, start {scale:g}"
            decides = scale <= LARGEST_DEEP
            told = f"rank events at drops, {where}"
            parts.append(judge_coincidence(runs, told, decides=decides))
            told = f"rank events beat placebo, {where}"
            parts.append(judge_placebo(runs, told, decides=decides))
    return parts


def judge_modes(runs: list[Trace], activation: str) -> list[Part]:
    """Return the secondary parts: order and times of the events, and how often the loss drops."""

    def by_seed(values: list[float], *, worst: bool) -> list[float]:
        table = pd.Series(values).groupby([t.seed for t in runs])
        told: list[float] = (table.max() if worst else table.mean()).tolist()
        return told

    modes = min(MODES, len(runs[0].targets))
    return [
        median_part(
            f"directions in order of the target, {activation}",
            by_seed([float(is_ordered(t, modes)) for t in runs], worst=False),
            low=ORDERED,
            rule=f"share of runs at least {ORDERED}",
            unit="share of runs",
            decides=False,
        ),
        median_part(
            f"times of the events, {activation}",
            by_seed([time_factor(t, modes) for t in runs], worst=True),
            high=TIME_FACTOR,
            rule=f"within a factor {TIME_FACTOR:g} of ln(sigma / s_0) / (4 sigma)",
            unit="largest factor",
            decides=False,
        ),
        median_part(
            f"drops of the loss, {activation}",
            by_seed([float(len(plateau_exits(t))) for t in runs], worst=False),
            low=modes - EXIT_MARGIN,
            high=modes + EXIT_MARGIN,
            rule=f"{modes} +- {EXIT_MARGIN}",
            unit=f"stretches in which the loss falls faster than t^-{EXIT_SPEED:g}",
            decides=False,
        ),
    ]


def is_ordered(trace: Trace, modes: int) -> bool:
    """Return whether the directions broke in the order of the target's singular values.

    Just before the next direction breaks (at the end, for the last), the k values above the
    threshold are each nearer, in their logarithm, to the target's value of their own place than to
    any other.
    """
    places = event_places(trace.ranks)
    if len(places) < modes:
        return False
    distance = np.log(trace.targets)
    for count, place in enumerate([*places[1:modes], len(trace.steps)], start=1):
        learned = np.log(np.maximum(trace.learned[place - 1, :count], 1e-300))
        nearest = np.abs(learned[:, None] - distance[None, :]).argmin(axis=1)
        if (nearest != np.arange(count)).any():
            return False
    return True


def time_factor(trace: Trace, modes: int) -> float:
    """Return by which factor the event farthest from its expected time misses it; inf if absent."""
    places = event_places(trace.ranks)
    if len(places) < modes:
        return math.inf
    ratio = np.log(trace.steps[places[:modes]] / trace.expected[:modes])
    return float(np.exp(np.abs(ratio).max()))


def describe(parts: tuple[Part, ...]) -> str:
    """Return what each part found, in words."""
    told = []
    for part in parts:
        numbers = [] if part.effect is None else [f"{part.effect:.3g}"]
        if part.p_value is not None:
            numbers.append(f"p = {part.p_value:.2g}")
        told.append(
            f"{part.name}: {part.verdict.label}" + (f" ({', '.join(numbers)})" if numbers else "")
        )
    return "; ".join(told) + "." if told else "No run over time."


def finding_of(parts: tuple[Part, ...], measured: Measured) -> Finding:
    """Return the finding of the parts, the first of them as the main estimate."""
    first = next((part for part in parts if part.effect is not None), None)
    return Finding(
        verdict=combine(parts),
        reason=describe(tuple(part for part in parts if part.decides)),
        effect=first.effect if first else None,
        unit=first.unit if first else "",
        seeds=len({t.seed for t in measured.traces}),
        threshold=f"pooled p < {PASSES}",
        parts=parts,
        excluded=measured.excluded,
    )
