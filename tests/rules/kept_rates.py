"""Rates that have been measured, in a folder, so that a measurement goes on where it stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from claim_levels import Rates

from symstudy.statistics.part import ALPHA

__all__ = ["Kept", "excess_limit", "is_within", "table", "worst_of_kinds"]

HEAD = """\
| rule or claim | values | seeds | false support | false refutation | power, true | power, false |
|---|---|---:|---:|---:|---:|---:|"""


class Kept(NamedTuple):
    """A file of rates of one rule or claim.

    Attributes:
        path: The file.
        key: What the rates follow from: a hash of the rule, and how many studies were planted. What
            was measured by another is measured again.
    """

    path: Path
    key: str

    def rates(self, kind: str, seeds: int, measure: Callable[[], Rates]) -> Rates:
        """Return the rates of a kind of noise, measured now if they are not in the file."""
        known = self.read()
        place = f"{kind}, {seeds} seeds"
        if place in known:
            return Rates(**known[place])
        found = measure()
        text = json.dumps({"key": self.key, "rates": {**known, place: found._asdict()}}, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".tmp")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.path)
        return found

    def read(self) -> dict[str, dict[str, Any]]:
        """Return what the file has of the same key, by kind and seeds."""
        if not self.path.exists():
            return {}
        kept = json.loads(self.path.read_text(encoding="utf-8"))
        rates: dict[str, dict[str, Any]] = kept["rates"] if kept["key"] == self.key else {}
        return rates


def excess_limit(repeats: int) -> float:
    """Return the level and three standard errors of a share of `repeats`."""
    return ALPHA + 3.0 * float((ALPHA * (1.0 - ALPHA) / repeats) ** 0.5)


def is_within(rates: Rates, repeats: int) -> bool:
    """Return whether both errors are at most the level, up to chance."""
    return max(rates.supported, rates.refuted) <= excess_limit(repeats)


def worst_of_kinds(all_rates: list[Rates]) -> list[Rates]:
    """Return the largest errors and the least power of all kinds, by name and number of seeds."""
    found: dict[tuple[str, int], list[Rates]] = {}
    for rates in all_rates:
        found.setdefault((rates.name, rates.seeds), []).append(rates)
    return [
        Rates(
            name=name,
            kind=f"worst of {len(kinds)}",
            seeds=seeds,
            supported=max(each.supported for each in kinds),
            refuted=max(each.refuted for each in kinds),
            power=min(each.power for each in kinds),
            power_against=min(each.power_against for each in kinds),
        )
        for (name, seeds), kinds in found.items()
    ]


def table(all_rates: list[Rates], repeats: int) -> str:
    """Return a Markdown table; what is above its level is marked."""
    lines = [HEAD]
    for rates in all_rates:
        numbers = (rates.supported, rates.refuted, rates.power, rates.power_against)
        told = " | ".join(f"{100 * number:.1f} %" for number in numbers)
        mark = "" if is_within(rates, repeats) else " **above**"
        lines.append(f"| {rates.name} | {rates.kind} | {rates.seeds} | {told}{mark} |")
    return "\n".join(lines)
