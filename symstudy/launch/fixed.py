"""What of a study is fixed when a launch is planned, and seeds that it may not use."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from symstudy.errors import LaunchError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.siblings import studies_beside
from symstudy.store.tables.ledger import read_column
from symstudy.store.tables.schema import PLAN
from symstudy.study.frozen import fresh_seeds, seed_ranges, settings_hash, taken_seeds
from symstudy.study.study import PILOT, Study

__all__ = ["Fixed", "check_kind", "check_seeds", "fix", "used_seeds"]

SHOWN = 8
"""Seeds that a message names, at most."""


class Fixed(NamedTuple):
    """What a launch fixes, and how many rows there were by then.

    Attributes:
        rules: Hash of the decision rule of each claim of the study; of a replication those that the
            study which it replicates was judged by.
        settings: Hash of all that decides the study's runs but their seeds.
        seeds: Its seeds, as ranges.
        rows: Runs of the folder that had rows before the launch.
        planned: Runs that are planned in the folder, those of this launch included.
        document: The study's tables, as a file would hold them; None if they are no plain values.
    """

    rules: Mapping[str, str]
    settings: str
    seeds: list[list[int]]
    rows: int
    planned: int
    document: Any


def fix(study: Study, rules: Mapping[str, str], *, rows: int, planned: int) -> Fixed:
    """Return what a launch of `study` fixes.

    Args:
        study: The study as it was declared, also where a budget leaves out a part of it.
        rules: Hash of the decision rule of each of its claims, as it is now.
        rows: Runs of the folder that have rows.
        planned: Runs that are planned in the folder with this launch.
    """
    try:
        document = json.loads(json.dumps(study.document, allow_nan=False))
    except (TypeError, ValueError):
        document = None
    return Fixed(
        {**rules, **study.rules},
        settings_hash(study),
        seed_ranges(seeds_of(study)),
        rows,
        planned,
        document,
    )


def seeds_of(study: Study) -> tuple[int, ...]:
    """Return the seeds that a study may use, those that confirm finds included."""
    return study.seeds + (study.search.confirming_seeds() if study.search else ())


def check_kind(folder: StudyFolder, study: Study, rows: int) -> None:
    """Check that a folder with rows is of the kind that the study is of.

    Raises:
        LaunchError: If a pilot would become a study that decides, or the other way round.
    """
    was = folder.read_study().get("kind", "study") if rows else study.kind
    if was == study.kind or PILOT not in (was, study.kind):
        return
    raise LaunchError(
        f"kind of the study {study.name!r} must stay {was!r}, since {folder.path!r} holds {rows} "
        f"runs of it, but got {study.kind!r}. Give the new study a name of its own: "
        f"name={study.name}_new"
    )


def check_seeds(folder: StudyFolder, study: Study) -> None:
    """Check that a study uses no seed that has been looked at for the same question.

    Seeds of a pilot are burnt for every study of another name, in the same folder of results, with
    the same settings or a claim of the pilot's; those of a study for each replication of it.

    Raises:
        LaunchError: If it does, with seeds to use instead.
        StoreError: If the studies beside it cannot be read.
    """
    if study.kind == PILOT:
        return
    settings = settings_hash(study)
    burnt: list[list[int]] = []
    found: list[tuple[str, list[int]]] = []
    for other in studies_beside(folder):
        why = why_burnt(study, settings, other)
        if why:
            ranges = list(used_seeds(other))
            burnt += ranges
            found.append((why, taken_seeds(seeds_of(study), ranges)))
    taken = [(why, seeds) for why, seeds in found if seeds]
    if not taken:
        return
    why, seeds = taken[0]
    shown = ", ".join(map(str, seeds[:SHOWN])) + (", ..." if len(seeds) > SHOWN else "")
    instead = fresh_seeds(len(study.seeds), burnt)
    raise LaunchError(
        f"seeds of the study {study.name!r} must be new, since {why}, but got {shown}. Use others: "
        f"'seed=[{','.join(map(str, instead))}]'"
    )


def why_burnt(study: Study, settings: str, other: StudyFolder) -> str:
    """Return why a study may not use the seeds of another one; empty if it may."""
    record = other.read_study()
    if study.replicates and record.get("name") == study.replicates:
        return f"it replicates {study.replicates!r}, which has used them"
    if record.get("kind") != PILOT or record.get("name") == study.name:
        return ""
    shared = [name for name in record.get("claims", []) if name in study.claims]
    if shared:
        return f"the pilot {other.name!r} has used them for the claim {shared[0]!r}"
    if settings in {launch.get("settings") for launch in record.get("launches", [])}:
        return f"the pilot {other.name!r} has used them with the same settings"
    return ""


def used_seeds(folder: StudyFolder) -> Iterator[list[int]]:
    """Yield the seeds of a study as ranges: those that were declared, and those in its plan."""
    record: Mapping[str, Any] = folder.read_study()
    for launch in record.get("launches", []):
        ranges = launch.get("seeds", [])
        yield from ranges if isinstance(ranges, list) else ()
    yield from seed_ranges(read_column(folder, PLAN.name, ["seed"])["seed"].unique().to_pylist())
