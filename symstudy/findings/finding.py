"""What a claim's test returns."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from symstudy.statistics.intervals import Interval
from symstudy.statistics.part import Part, combine, refutation_p
from symstudy.statistics.verdict import Verdict

__all__ = ["Finding", "Interval", "Part", "Verdict", "combine", "seed_range"]


def seed_range(seeds: int, parts: Iterable[int]) -> str:
    """Return how many seeds a verdict rests on, as `10`, or as `6 to 10` where parts differ.

    Args:
        seeds: Of the whole.
        parts: Seeds of each part that decides; 0 where they are not known.
    """
    fewest = min(filter(None, parts), default=seeds)
    return f"{seeds}" if fewest >= seeds else f"{fewest} to {seeds}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict on a claim, with what it rests on.

    Attributes:
        verdict: What the data say.
        reason: Why, in a sentence with numbers.
        effect: The main estimate.
        interval: Its confidence interval.
        unit: What the effect is measured in.
        seeds: Independent units behind it: seeds, not rows.
        threshold: What the effect is held against.
        parts: Tests it is made of.
        excluded: Runs that are no evidence, by why.
        unchecked: Runs of programs that count though nothing says whether they have converged.
    """

    verdict: Verdict
    reason: str
    effect: float | None = None
    interval: Interval | None = None
    unit: str = ""
    seeds: int = 0
    threshold: str = ""
    parts: tuple[Part, ...] = ()
    excluded: tuple[tuple[str, int], ...] = ()
    unchecked: int = 0

    @property
    def p_value(self) -> float | None:
        """Chance of data that speak for the verdict at least as much as these, if it were wrong.

        A claim is supported where all of its parts are, so its p-value is the largest of theirs (an
        intersection-union test, Berger 1982); it is refuted where any is, so it is the smallest
        times their number (Bonferroni). None where the verdict rests on an exact rule, or there is
        none.
        """
        parts = [part for part in self.parts if part.decides]
        tested = [part for part in parts if part.p_value is not None]
        if self.verdict is Verdict.SUPPORTED and tested:
            return max(part.p_value for part in tested if part.p_value is not None)
        against = [part for part in parts if part.verdict is Verdict.REFUTED]
        is_tested = all(part.p_value is not None for part in against)
        if self.verdict is Verdict.REFUTED and against and is_tested:
            return refutation_p(self.parts)
        return None

    @property
    def seed_range(self) -> str:
        """Seeds behind the verdict, as a range where the parts that decide have unlike numbers."""
        return seed_range(self.seeds, [part.seeds for part in self.parts if part.decides])

    def part(self, name: str) -> Part:
        """Return the part called `name`.

        Raises:
            KeyError: If there is none.
        """
        found = {part.name: part for part in self.parts}
        if name not in found:
            raise KeyError(f"a part must be one of {sorted(found)}, but got {name!r}")
        return found[name]

    def _repr_html_(self) -> str:
        """Return the verdict, its reason and a table of the parts, for notebooks."""
        rows = "".join(
            f"<tr><td>{escape(part.verdict.label if part.decides else 'reported')}</td>"
            f"<td>{escape(part.name)}</td>"
            f"<td>{'' if part.effect is None else f'{part.effect:.3g}'}</td>"
            f"<td>{escape(str(part.interval or ''))}</td><td>{escape(part.rule)}</td></tr>"
            for part in self.parts
        )
        head = "".join(
            f"<th>{name}</th>" for name in ("verdict", "part", "effect", "interval", "rule")
        )
        table = f"<table><tr>{head}</tr>{rows}</table>" if self.parts else ""
        said = f"<b>{escape(self.verdict.label)}</b>: {escape(self.reason)}"
        return f"<p>{said} ({self.seed_range} seeds)</p>{table}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        values = asdict(self)
        values["p_value"] = self.p_value
        values["verdict"] = self.verdict.label
        values["interval"] = self.interval._asdict() if self.interval else None
        for part, plain in zip(self.parts, values["parts"], strict=True):
            plain["verdict"] = part.verdict.label
            plain["interval"] = part.interval._asdict() if part.interval else None
        values["excluded"] = dict(self.excluded)
        return values
