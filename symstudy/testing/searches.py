"""Searches whose runs are planted: the search asks, and the truth that was put there answers."""

from pathlib import Path

from symstudy.launch.search import SearchState
from symstudy.store import Store, StudyFolder, open_location
from symstudy.store.tables.writer import write_plan
from symstudy.study import Study
from symstudy.testing.stores import Measures, plant_pack, plant_study

__all__ = ["plant_search"]


def plant_search(
    location: Path, study: Study, measures_of: Measures, *, rounds: int | None = None
) -> Store:
    """Run a study's search on planted results instead of training; return SQL access to them.

    Args:
        location: Folder that the study's folder is made in; a search that was begun there goes on.
        study: With a search.
        measures_of: See `symstudy.testing.stores.plant_store`.
        rounds: Batches to answer at most; all if None.

    Raises:
        ValueError: If the study has no search.
    """
    if study.search is None:
        raise ValueError(f"`study` must have a search, but {study.name!r} has a grid.")
    filesystem, path = open_location(str(location))
    folder = StudyFolder(filesystem, f"{path}/{study.name}")
    if not folder.exists():
        plant_study(folder, study)
    state = SearchState(study.search, folder)
    first = len(folder.list_files("plan", ".parquet"))
    count = 0
    while rounds is None or count < rounds:
        trials = state.ask()
        if not trials:
            break
        name = f"planted-{first + count:05d}"
        pairs = [(run, trial.to_json()) for trial in trials for run in trial.runs]
        write_plan(folder, study.name, name, [run for run, _ in pairs], [text for _, text in pairs])
        left = {run.run_id: run for run, _ in pairs if run.run_id not in state.results}
        if left:
            plant_pack(folder, study.name, name, list(left.values()), measures_of)
        state.refresh()
        count += 1
    return Store([folder])
