"""What of a claim and its study was fixed before the data, as `study.json` recorded it.

Each launch of a study keeps a hash of its settings, its seeds, a hash of the code that measures,
and how many runs had rows by then; each claim the launch that its rule was frozen at. What came or
changed after the first row is told beside the verdict.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.study.frozen import num_seeds

__all__ = ["Caveats", "read_caveats"]

NOT_RECORDED = "when rule, settings and seeds were fixed is not recorded"


class Caveats(NamedTuple):
    """What was not fixed before the data.

    Attributes:
        rule_is_frozen: Whether the rule is the one frozen when the study first ran; None if none
            was.
        notes: Sentences for the headline; none if everything was fixed before the data.
    """

    rule_is_frozen: bool | None
    notes: tuple[str, ...]


def read_caveats(record: Mapping[str, Any], claim: str, rule_hash: str) -> Caveats:
    """Return what of a claim on a study was not fixed before the data.

    Args:
        record: What `study.json` says; from a version before this was recorded, or damaged, it
            lacks keys.
        claim: Name of the claim.
        rule_hash: Hash of its rule as it is now.
    """
    frozen = record.get("rules", {}).get(claim)
    launches = record.get("launches", [])
    notes = [
        *rule_notes(record, claim, frozen, rule_hash),
        *change_notes(launches, "settings", "settings changed after the data"),
        *change_notes(
            launches, "symstudy_version", "measured by two versions of symstudy, before and after"
        ),
        *seed_notes(launches),
    ]
    if frozen is not None and not is_recorded(record, claim):
        notes.append(NOT_RECORDED)
    return Caveats(None if frozen is None else frozen == rule_hash, tuple(notes))


def rule_notes(
    record: Mapping[str, Any], claim: str, frozen: str | None, rule_hash: str
) -> Iterator[str]:
    """Yield what is to be told of the rule."""
    if frozen is None:
        yield "claim not frozen with the study"
    elif frozen != rule_hash:
        yield "rule changed after the data"
    at = frozen_at(record, claim)
    rows, planned = at.get("rows"), at.get("planned")
    if isinstance(rows, int) and rows > 0:
        of = f" of {planned}" if isinstance(planned, int) else ""
        yield f"claim added after {rows}{of} runs"


def change_notes(launches: Sequence[Mapping[str, Any]], key: str, words: str) -> Iterator[str]:
    """Yield `words` if a launch after the first row has another value than the last one before."""
    fixed = None
    for launch in launches:
        value = launch.get(key)
        if not isinstance(value, str):
            continue
        if fixed is None or not has_rows(launch):
            fixed = value
        elif value != fixed:
            yield words
            return


def seed_notes(launches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how many seeds there were before and after the data, if some were added."""
    counts: list[int] = []
    known: list[Any] = []
    for launch in launches:
        ranges = launch.get("seeds")
        if not isinstance(ranges, list):
            continue
        before = num_seeds(known)
        known = [*known, *ranges]
        after = num_seeds(known)
        if not counts or (after > before and not has_rows(launch)):
            counts = [after]
        elif after > before:
            counts.append(after)
    if len(counts) > 1:
        yield f"seeds added after the data ({', then '.join(map(str, counts))})"


def has_rows(launch: Mapping[str, Any]) -> bool:
    """Return whether some runs had rows when a launch was planned."""
    rows = launch.get("rows")
    return isinstance(rows, int) and rows > 0


def frozen_at(record: Mapping[str, Any], claim: str) -> Mapping[str, Any]:
    """Return when a claim was frozen; nothing if that is not recorded."""
    frozen = record.get("frozen", {})
    at = frozen.get(claim, {}) if isinstance(frozen, dict) else {}
    return at if isinstance(at, dict) else {}


def is_recorded(record: Mapping[str, Any], claim: str) -> bool:
    """Return whether everything that was fixed is recorded, of the claim and of all launches."""
    launches = record.get("launches", [])
    keys = ("settings", "seeds", "rows")
    return bool(frozen_at(record, claim)) and all(
        all(key in launch for key in keys) for launch in launches
    )
