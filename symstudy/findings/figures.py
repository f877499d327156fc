"""The default figure of a rule: what was tested, where, against what, with which verdict."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings.choices import Selection
from symstudy.findings.conclude import Measured
from symstudy.findings.evidence import Evidence
from symstudy.findings.rules.base import (
    AbstractRule,
    Data,
    Group,
    Tested,
    groups,
    label,
    shown,
)
from symstudy.findings.rules.exact import Exact
from symstudy.findings.rules.level import AbstractLevelRule
from symstudy.findings.rules.power_law import PowerLaw
from symstudy.findings.rules.ratio import Ratio
from symstudy.findings.rules.sweep import AbstractSweepRule, Flat, Grows
from symstudy.findings.standing import explored_part
from symstudy.plots.figures import Figure
from symstudy.plots.labels import axis_words
from symstudy.plots.panels import Curve, Line, Panel, draw_panels
from symstudy.statistics.families import hold_parts
from symstudy.statistics.fits import fit_power_law
from symstudy.statistics.intervals import median_interval
from symstudy.statistics.verdict import Verdict

__all__ = ["deciding_panels", "draw_rule"]

MOST_LINES = 8
"""With more lines than that a panel shows what was tested alone."""
FULL = 3
"""Panels up to which parts that are only reported are drawn too."""

CAPTION = (
    "Median over seeds with its exact interval of at least 90 % (five seeds or more). Grey shading "
    "marks the places that the rule is about; dashed lines what it allows at the most."
)


class Setting(NamedTuple):
    """What a panel of a sweep is about.

    Attributes:
        base: Runs that it shows.
        split: Columns whose values make a line each.
    """

    base: Evidence
    split: tuple[str, ...]


def draw_rule(measured: Measured) -> Figure:
    """Draw a claim by rules: a panel for each value that decides, others if there is room.

    Where the same sweep of a value is also reported at other settings, its panel has their lines.
    """
    tested = as_they_stand(measured)
    deciding = {sweep_of(one) for one in tested if one.part.decides} - {None}
    drawn = [one for one in tested if one.part.decides or sweep_of(one) in deciding]
    panels = panels_of(measured.data, drawn)
    if len(panels) < FULL:
        beside = panels_of(measured.data, [one for one in tested if is_beside(one)])
        known = {panel.name for panel in panels}
        panels += [panel for panel in beside if panel.name not in known][: FULL - len(panels)]
    return draw_panels(panels, CAPTION)


def is_beside(one: Tested) -> bool:
    """Return whether a part is reported and has runs: without any, its panel would be empty."""
    return not one.part.decides and one.part.verdict is not Verdict.UNTESTED


def deciding_panels(measured: Measured) -> list[Panel]:
    """Return the panels of what decides, each with its bound and verdict, for a figure's own."""
    return panels_of(measured.data, [one for one in as_they_stand(measured) if one.part.decides])


def as_they_stand(measured: Measured) -> tuple[Tested, ...]:
    """Return the parts of a rule, none of which has a verdict that is not that in its family."""
    tested = measured.rule.judge(measured.data)
    standing = measured.standing
    parts = [one.part for one in tested]
    if standing is None:
        held = hold_parts(parts, 1.0)
    elif standing.is_pilot:
        held = tuple(map(explored_part, parts))
    else:
        held = hold_parts(parts, standing.factor, standing.family.level)
    # What decides is drawn, also where a pilot gives no verdict.
    return tuple(
        one._replace(part=replace(part, decides=one.part.decides))
        for one, part in zip(tested, held, strict=True)
    )


def sweep_of(one: Tested) -> tuple[str, str] | None:
    """Return value and swept column of a part about a sweep; None for other parts and for laws."""
    rule = one.rule
    if not isinstance(rule, AbstractSweepRule) or isinstance(rule, PowerLaw):
        return None
    return rule.value, rule.along


def panels_of(data: Data, tested: Sequence[Tested]) -> list[Panel]:
    """Return the panels of parts: one for each value, or for each rule of another kind."""
    panels: list[Panel] = []
    sweeps: dict[tuple[str, str], list[Tested]] = {}
    others: dict[AbstractRule, list[Tested]] = {}
    for one in tested:
        rule = one.rule
        if isinstance(rule, AbstractSweepRule) and not isinstance(rule, PowerLaw):
            sweeps.setdefault((rule.value, rule.along), []).append(one)
        else:
            others.setdefault(rule, []).append(one)
    along = [one for parts in sweeps.values() for one in parts]
    common = common_base([one.rule.needs[0].evidence for one in along])
    panels += [sweep_panel(data, parts, common) for parts in sweeps.values()]
    for rule, parts in others.items():
        if isinstance(rule, PowerLaw):
            panels += law_panels(data, rule, parts)
        elif isinstance(rule, Exact):
            panels += [exact_panel(data, rule, one) for one in parts]
        else:
            panels.append(level_panel(parts))
    return panels


def common_base(evidences: Sequence[Evidence]) -> tuple[Selection, ...]:
    """Return the selections that all evidences begin with."""
    shared = []
    for steps in zip(*(evidence.selections for evidence in evidences), strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return tuple(shared)


def sweep_panel(data: Data, parts: Sequence[Tested], common: tuple[Selection, ...]) -> Panel:
    """Return a panel of one value: a line for each setting, the tested ones among them."""
    rule = parts[0].rule
    assert isinstance(rule, AbstractSweepRule)
    setting = setting_of(parts, common)
    rows = data.rows(setting.base)
    evidences = {one.rule.needs[0].evidence for one in parts}
    if len(list(groups(rows, setting.split))) > MOST_LINES and len(evidences) == 1:
        setting = Setting(evidences.pop(), tuple(parts[0].group))
        rows = data.rows(setting.base)
    lines = [
        sweep_line(rule, chosen, group, told(group))
        for group, chosen in groups(rows, setting.split)
    ]
    beside = [setting_of([one], common) for one in parts]
    for base in dict.fromkeys(each.base for each in beside if not each.split):
        if base != setting.base:
            apart = conditions_apart(base, setting.base)
            lines.append(sweep_line(rule, data.rows(base), {"runs": apart}, apart))
    deciding = [one for one in parts if one.part.decides] or parts
    places = sorted({place for one in deciding for place in one.table.columns})
    is_whole = len(places) == rows[rule.along].nunique()
    return Panel(
        name=rule.value,
        title=f"{rule.called}: {', '.join(dict.fromkeys(verdicts(parts)))}",
        x=rule.along,
        x_label=axis_words(rule.along),
        y_label=rule.called,
        lines=lines,
        curves=[curve for one in deciding for curve in limits(one)],
        tested=(places[0], places[-1]) if places and not is_whole else None,
    )


def sweep_line(rule: AbstractSweepRule, rows: pd.DataFrame, group: Group, name: str) -> Line:
    """Return the line of one setting: medians of a rule's value along what it sweeps."""
    return Line(name, dict(group), medians(rows, rule.along, rule.value))


def told(group: Group) -> str:
    """Return the values of a group in words."""
    return ", ".join(f"{label(k)} = {shown(v)}" for k, v in group.items())


def conditions_apart(evidence: Evidence, other: Evidence) -> str:
    """Return the conditions on `evidence` that `other` does not have."""
    return " and ".join(part for part in evidence.scope if part not in other.scope)


def setting_of(parts: Sequence[Tested], common: tuple[Selection, ...]) -> Setting:
    """Return what is shown beside the tested runs: all that they were selected from.

    Args:
        parts: Parts about one value.
        common: Selections that all parts of the claim begin with: what lies outside is not shown.
    """
    base = parts[0].rule.needs[0].evidence.base
    for selection in common:
        base = base.select(selection)
    chosen = [s for one in parts for s in one.rule.needs[0].evidence.selections]
    split = [selection.column for selection in chosen if selection not in common]
    by = [column for one in parts for column in one.group]
    return Setting(base, tuple(dict.fromkeys([*split, *by])))


def medians(rows: pd.DataFrame, along: str, value: str) -> pd.DataFrame:
    """Return the median over seeds and its exact interval at each place."""
    points = []
    for place, values in rows.groupby(along)[value]:
        seeds = values.groupby(rows.loc[values.index, "seed"]).mean()
        interval = median_interval(seeds)
        low, high = (
            (interval.low, interval.high) if math.isfinite(interval.high) else (math.nan, math.nan)
        )
        points.append((place, float(seeds.median()), low, high, len(seeds)))
    return pd.DataFrame(points, columns=["place", "median", "low", "high", "seeds"])


def verdicts(parts: Sequence[Tested]) -> list[str]:
    """Return the verdict of each part as a word."""
    return [one.part.verdict.label + ("" if one.part.decides else " (reported)") for one in parts]


def limits(one: Tested) -> list[Curve]:
    """Return what a rule on a sweep allows at the most, through the middle of what was tested."""
    if one.table.empty or not (one.table.columns.to_numpy(float) > 0).all():
        return []
    place = one.table.columns.to_numpy(float)
    middle = float(np.median(one.table.to_numpy(float)))
    centre = float(np.exp(np.log(place).mean()))
    rule = one.rule
    if isinstance(rule, Flat):
        slopes = [-rule.within, rule.within]
    elif isinstance(rule, Grows):
        slopes = [rule.at_least]
    elif isinstance(rule, Ratio):
        half = math.sqrt(1.0 + rule.within)
        return [Curve(place, np.full(len(place), middle * f), style="--") for f in (half, 1 / half)]
    else:
        return []
    return [Curve(place, middle * (place / centre) ** slope, style="--") for slope in slopes]


def law_panels(data: Data, rule: PowerLaw, parts: Sequence[Tested]) -> list[Panel]:
    """Return panels of a power law, one for each outer group, and one of the residuals."""
    rows = data.rows(rule.runs)
    outer, inner = rule.by[:-1], rule.by[-1:]
    panels, residuals = [], []
    for outer_group, chosen in groups(rows, outer):
        lines, curves = [], []
        for place, (group, runs) in enumerate(groups(chosen, inner)):
            whole = {**outer_group, **group}
            (one,) = (part for part in parts if part.group == whole)
            points = medians(runs, rule.along, rule.value)
            points[["median", "low", "high"]] += rule.shift
            name = told(group)
            if one.part.effect is not None:
                exact = rule.exact_exponent(whole)
                name += f": {one.part.effect:.3f}, exact {exact:.3f}"
                residuals.append(residual_line(one, rule, whole))
            lines.append(Line(name, dict(whole), points, is_joined=False))
            curves += law_curves(one, rule, runs, place)
        outer_name = told(outer_group)
        shift = f" + {rule.shift:g}" if rule.shift else ""
        panels.append(
            Panel(
                name=outer_name or rule.value,
                title=outer_name or f"{rule.called}: {', '.join(dict.fromkeys(verdicts(parts)))}",
                x=rule.along,
                x_label=axis_words(rule.along),
                y_label=rule.called + shift,
                lines=lines,
                curves=curves,
            )
        )
    if residuals:
        panels.append(
            Panel(
                "residuals",
                "residuals of the fits",
                rule.along,
                axis_words(rule.along),
                "ln residual",
                residuals,
                is_log_y=False,
            )
        )
    return panels


def residual_line(one: Tested, rule: PowerLaw, group: dict[str, object]) -> Line:
    """Return the residuals of the fit to the medians of one group."""
    place = one.table.columns.to_numpy(float)
    law = fit_power_law(place, one.table.median().to_numpy(float) + rule.shift)
    points = pd.DataFrame({"place": place, "median": law.residuals, "seeds": len(one.table)})
    return Line("", dict(group), points.assign(low=math.nan, high=math.nan), is_joined=False)


def law_curves(one: Tested, rule: PowerLaw, runs: pd.DataFrame, line: int) -> list[Curve]:
    """Return the fitted law of one group, and the exact one where there is one."""
    curves = []
    if one.part.effect is not None:
        place = one.table.columns.to_numpy(float)
        law = fit_power_law(place, one.table.median().to_numpy(float) + rule.shift)
        grid = np.geomspace(place.min(), place.max(), 100)
        curves.append(Curve(grid, law.predict(grid), line))
    if rule.exact is not None and len(runs):
        grid = np.geomspace(runs[rule.along].min(), runs[rule.along].max(), 400)
        curves.append(Curve(grid, np.asarray(rule.exact(grid, runs)) + rule.shift, line, ":"))
    return curves


def exact_panel(data: Data, rule: Exact, one: Tested) -> Panel:
    """Return measured values of a group against one axis, with what theory gives as lines."""
    rows = data.rows(rule.runs)
    for column, value in one.group.items():
        rows = rows[rows[column] == value]
    along = rule.over or rule.along
    split = (rule.along,) if rule.over else ()
    match = rule.matches[0]
    lines, curves = [], []
    for place, (group, chosen) in enumerate(groups(rows, split)):
        name = told(group)
        points = medians(chosen, along, match.value)
        lines.append(Line(name, dict(group), points, is_joined=False))
        exact = chosen.groupby(along)[match.exact].mean()
        curves.append(Curve(exact.index.to_numpy(float), exact.to_numpy(float), place))
    values = ", ".join(shown(value) for value in one.group.values())
    return Panel(
        name=one.part.name,
        title=f"{values or one.part.name}: {one.part.verdict.label}",
        x=along,
        x_label=axis_words(along),
        y_label=label(match.value),
        lines=lines,
        curves=curves,
    )


def level_panel(parts: Sequence[Tested]) -> Panel:
    """Return the number of each seed for each part, with the range that is allowed."""
    one = parts[0]
    low, high = one.bound
    lines = []
    values = [value for part in parts for value in part.numbers if math.isfinite(value)]
    floor, top = (min(values), max(values)) if values else (0.0, 1.0)
    for place, part in enumerate(parts):
        interval = median_interval(part.numbers)
        is_known = math.isfinite(interval.high)
        points = pd.DataFrame(
            {
                "place": [float(place)],
                "median": [float(np.median(part.numbers)) if len(part.numbers) else math.nan],
                "low": [interval.low if is_known else math.nan],
                "high": [interval.high if is_known else math.nan],
                "seeds": [len(part.numbers)],
            }
        )
        lines.append(Line(setting_of_part(part), dict(part.group), points))
    room = 0.1 * (top - floor) or 0.1
    allowed = (
        low if math.isfinite(low) else min(floor, high) - room,
        high if math.isfinite(high) else max(top, low) + room,
    )
    return Panel(
        name=one.part.name,
        title=f"{subject_of(one)}: {', '.join(dict.fromkeys(verdicts(parts)))}",
        x="part",
        x_label="",
        y_label=one.part.unit,
        lines=lines,
        allowed=allowed,
        is_log_x=False,
        is_log_y=False,
    )


def subject_of(one: Tested) -> str:
    """Return what a part on a level is about, without its setting."""
    return one.rule.subject if isinstance(one.rule, AbstractLevelRule) else one.part.name


def setting_of_part(one: Tested) -> str:
    """Return the setting of a part on a level: its name without what it is about."""
    return one.part.name.removeprefix(subject_of(one)).removeprefix(" at ")
