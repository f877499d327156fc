"""Findings as they were kept in a study's folder, read as what somebody else may have written."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from symstudy.errors import StoreError
from symstudy.findings.family import Family
from symstudy.findings.standing import Member, Standing, explored_part, reason_of, told
from symstudy.statistics.families import hold_parts
from symstudy.statistics.part import ALPHA, Part
from symstudy.statistics.verdict import Verdict
from symstudy.store import Store, StudyFolder
from symstudy.store.files.names import is_plain_name

__all__ = ["Findings", "Kept", "hold_values", "member_of", "read_findings"]

LABELS = frozenset(verdict.label for verdict in Verdict)
TEXTS = (
    *("title", "statement", "reference", "rule", "rule_hash", "study", "fingerprint"),
    *("reason", "unit", "threshold"),
)
ENDS = ("low", "high")
SUFFIX = ".json"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A finding as it was kept in a study's folder.

    Attributes:
        values: What `Evaluated.to_json` returned.
        is_stale: Whether rows have been added since.
    """

    values: dict[str, Any]
    is_stale: bool


class Findings(NamedTuple):
    """The findings in a study's folder.

    Attributes:
        kept: Those that can be shown, by name.
        refused: Names of files that are no findings as symstudy writes them.
    """

    kept: list[Kept]
    refused: list[str]


def read_findings(folder: StudyFolder, now: str | None = None) -> Findings:
    """Return the findings kept in a study's folder, by name.

    Args:
        folder: Folder of the study.
        now: Fingerprint of its rows; worked out if not given.

    Raises:
        StoreError: If they cannot be listed, or the results cannot be read.
    """
    if now is None:
        now = Store([folder]).fingerprint
    found = Findings([], [])
    for path in folder.list_files("findings", SUFFIX):
        name = path.rsplit("/", 1)[-1]
        values = read_finding(folder, name)
        if values is None:
            found.refused.append(f"findings/{name}")
        else:
            found.kept.append(Kept(values=values, is_stale=values["fingerprint"] != now))
    return found


def read_finding(folder: StudyFolder, file: str) -> dict[str, Any] | None:
    """Return what a file of a finding says; None if it is none as symstudy writes them.

    The name of the claim, of which other files are named, is the file's own.
    """
    claim = file.removesuffix(SUFFIX)
    try:
        values = folder.read_json("findings", file)
    except StoreError:
        return None
    if not is_plain_name(claim) or not isinstance(values, dict) or values.get("claim") != claim:
        return None
    return values if is_finding(values) else None


def member_of(values: dict[str, Any], study: str) -> Member:
    """Return a kept finding as its family sees it.

    Args:
        values: Of a finding that is one; those of an earlier version name no family and have one
            verdict.
        study: Name of its study.
    """
    alone = values.get("alone", values["verdict"])
    family = values.get("family")
    key = f"{study}/{values['claim']}"
    return Member(
        key,
        Verdict[alone.upper()],
        values.get("p_value"),
        Family(family["name"], tuple(family["claims"]), family["level"], family["is_declared"])
        if family
        else Family(study, (key,), is_declared=False),
        values.get("is_pilot", False),
    )


def hold_values(values: dict[str, Any], standing: Standing) -> dict[str, Any]:
    """Return a kept finding with the verdicts of whole and parts as they stand now."""
    parts = hold_parts(
        [plain_part(part) for part in values["parts"]], standing.factor, standing.family.level
    )
    if standing.is_pilot:
        parts = tuple(map(explored_part, parts))
    return {
        **values,
        "verdict": standing.verdict.label,
        "alone": standing.alone.label,
        "reason": reason_of(standing, values.get("reason_alone", values["reason"])),
        "p_adjusted": standing.adjusted,
        "headline": told(standing, values.get("caveats", ())),
        "label": standing.label,
        "beside": standing.beside,
        "caveats": values.get("caveats", []),
        # Earlier versions did not count them.
        "unchecked": values.get("unchecked", 0),
        "family_words": standing.family.words,
        "parts": [
            {**plain, "verdict": part.verdict.label, "decides": part.decides}
            for plain, part in zip(values["parts"], parts, strict=True)
        ],
    }


def plain_part(values: dict[str, Any]) -> Part:
    """Return a kept part, as far as its verdict rests on it."""
    return Part(
        name=values["name"],
        verdict=Verdict[values.get("alone", values["verdict"]).upper()],
        rule=values["rule"],
        decides=values["decides"],
        p_value=values.get("p_value"),
    )


def is_finding(values: dict[str, Any]) -> bool:
    """Return whether the values of a finding are of their types."""
    parts, excluded = values.get("parts"), values.get("excluded")
    return (
        all(isinstance(values.get(key), str) for key in TEXTS)
        and values.get("verdict") in LABELS
        and is_estimate(values)
        and type(values.get("seeds")) is int
        and isinstance(values.get("rule_is_frozen"), bool | None)
        and is_number(values.get("p_value"))
        and values.get("alone", values["verdict"]) in LABELS
        and isinstance(values.get("is_pilot", False), bool)
        and isinstance(values.get("reason_alone", ""), str)
        and is_texts(values.get("caveats", []))
        and type(values.get("unchecked", 0)) is int
        and is_family(values.get("family"))
        and is_texts(values.get("queries"))
        and isinstance(parts, list)
        and all(map(is_part, parts))
        and isinstance(excluded, dict)
        and all(type(count) is int for count in excluded.values())
    )


def is_part(part: object) -> bool:
    """Return whether a value can be a part of a finding."""
    return (
        isinstance(part, dict)
        and all(isinstance(part.get(key), str) for key in ("name", "rule", "unit"))
        and part.get("verdict") in LABELS
        and part.get("alone", part["verdict"]) in LABELS
        and is_estimate(part)
        and is_number(part.get("p_value"))
        and isinstance(part.get("decides"), bool)
        and type(part.get("seeds", 0)) is int
    )


def is_family(family: object) -> bool:
    """Return whether a value can be the family of a finding; None is that of an earlier version."""
    if family is None:
        return True
    return (
        isinstance(family, dict)
        and isinstance(family.get("name"), str)
        and is_texts(family.get("claims"))
        and len(family["claims"]) > 0
        and type(family.get("level")) is float
        and 0.0 < family["level"] <= ALPHA
        and isinstance(family.get("is_declared"), bool)
    )


def is_estimate(values: dict[str, Any]) -> bool:
    """Return whether the effect and its interval are numbers or none."""
    interval = values.get("interval")
    is_interval = interval is None or (
        isinstance(interval, dict)
        and all(interval.get(end) is not None and is_number(interval[end]) for end in ENDS)
    )
    return is_interval and is_number(values.get("effect"))


def is_number(value: object) -> bool:
    """Return whether a value is a number or none."""
    return value is None or type(value) in {int, float}


def is_texts(values: object) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
