"""The study's folder as a launch finds and leaves it: whose it is, and the record `study.json`."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from symstudy.errors import StoreError
from symstudy.launch.differences import tell_difference
from symstudy.launch.fixed import Fixed
from symstudy.store import Store
from symstudy.store.files.checkpoints import list_checkpoints
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.store.tables.ledger import ended_runs
from symstudy.store.tables.schema import SCHEMA_VERSION
from symstudy.store.tables.superseded import never_trained
from symstudy.store.tables.writer import utc_now
from symstudy.study.cell import Run
from symstudy.study.study import Study

__all__ = [
    "check_same_study",
    "drop_advice",
    "earlier_form",
    "location_of",
    "open_study_folder",
    "record_launch",
]


def open_study_folder(results: str, study: Study) -> StudyFolder:
    """Return the folder of `study` below the location `results`.

    Raises:
        StoreError: If the location cannot be opened.
    """
    filesystem, path = open_location(results)
    return StudyFolder(filesystem, f"{path}/{study.name}")


def location_of(folder: StudyFolder, results: str) -> str:
    """Return the path or URI by which a worker opens the folder."""
    return f"{results.rstrip('/')}/{folder.place}" if "://" in results else folder.path


def check_same_study(
    folder: StudyFolder, study: Study, runs: Sequence[Run], known: set[str]
) -> None:
    """Check that a folder that holds runs holds some of this study.

    Runs that never trained, or only failed, are no results: a study that has been corrected since
    goes on in their place.

    Args:
        folder: Folder of the study.
        study: Study to train.
        runs: Its runs.
        known: Identifiers of the runs that are planned in the folder.

    Raises:
        StoreError: If it holds results of other studies alone.
    """
    wanted = {run.run_id for run in runs}
    if not known or known & wanted:
        return
    if not ended_runs(folder, failed_count=False) and not list_checkpoints(folder):
        return
    frozen = folder.read_study()
    raise StoreError(
        f"{folder.path!r} must be empty or hold runs of this study, but it holds the {len(known)} "
        f"runs of {frozen.get('title')!r} (preset {frozen.get('preset')}), none of which are "
        f"among the {len(wanted)} of {study.title!r} (preset {study.preset}). "
        f"{what_changed(folder, runs)}Name another place with --results, or keep both together "
        "with --extend."
    )


def what_changed(folder: StudyFolder, runs: Sequence[Run]) -> str:
    """Return a sentence on how the cells of `runs` differ from those of the folder, and a blank.

    Raises:
        StoreError: If the plan cannot be read.
    """
    held = Store([folder]).sql("select distinct config from planned order by config limit 200")
    told = tell_difference(
        [config for (config,) in held.rows if config],
        dict.fromkeys(run.cell.config for run in runs),
    )
    return f"{told} " if told else ""


def earlier_form(folder: StudyFolder, wanted: set[str]) -> list[str]:
    """Return what to tell of planned runs that an earlier form of a study has left, and to type.

    Args:
        folder: Folder of the study.
        wanted: Identifiers of the runs of the study as it is now.

    Raises:
        StoreError: If the results cannot be read.
    """
    left = never_trained(folder, wanted)
    return [drop_advice(len(left), folder.location)] if left else []


def drop_advice(count: int, place: str) -> str:
    """Return the sentence on planned runs that never trained, with the command that drops them."""
    return (
        f"{count} planned runs of an earlier form of the study never trained; drop them with: "
        f"symstudy drop {shlex.quote(place)} --never-trained"
    )


def record_launch(
    folder: StudyFolder,
    study: Study,
    ran: Mapping[str, Any],
    fixed: Fixed,
    launch: str,
    *,
    num_new: int,
) -> None:
    """Write the study and this launch to `study.json`, keeping earlier rules and launches.

    A rule is frozen when the first run is planned; a later change shows as a difference. As long as
    no run has rows it may be corrected.

    Args:
        folder: Folder of the study.
        study: Study to train.
        ran: What this process runs: commit, versions, and names of kept texts.
        fixed: What the launch fixes, and how many rows there were by then.
        launch: Identifier of the launch.
        num_new: Number of runs that no earlier launch has planned.

    Raises:
        StoreError: If it cannot be written.
    """
    before = folder.read_study()
    at = utc_now().isoformat(timespec="seconds")
    kept = before.get("rules", {}) if fixed.rows else {}
    new = {name: rule for name, rule in fixed.rules.items() if name not in kept}
    when = {"at": at, "launch": launch, "rows": fixed.rows, "planned": fixed.planned}
    launches = before.get("launches", [])
    launches.append(
        {
            "launch": launch,
            "at": at,
            "preset": study.preset,
            "overrides": list(study.overrides),
            "new_runs": num_new,
            "settings": fixed.settings,
            "seeds": fixed.seeds,
            "rows": fixed.rows,
            "planned": fixed.planned,
            "dropped": 0,
            **ran,
        }
    )
    folder.write_study(
        {
            "schema_version": SCHEMA_VERSION,
            "name": study.name,
            "title": study.title,
            "description": study.description,
            "claims": list(study.claims),
            "swept": list(study.swept),
            "seeds": len(study.seeds),
            "preset": study.preset,
            "source": study.source,
            "kind": study.kind,
            "replicates": study.replicates,
            "rules": {**new, **kept},
            "frozen": {**before.get("frozen", {}), **dict.fromkeys(new, when)},
            "document": fixed.document if not fixed.rows else before.get("document"),
            "pairs": before.get("pairs"),
            "launches": launches,
        },
    )
