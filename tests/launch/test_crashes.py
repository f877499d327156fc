"""After a crash at any file operation the same `run` goes on, and `verify` proves its results."""

import shutil
from pathlib import Path

import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.store import StudyFolder, open_location, open_store, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.testing.crashes import crashed_states, recorded, replay

ROWS = (
    "select run_id, outcome, steps_done, test_loss, width, config from runs order by run_id",
    "select run_id, step, train_loss, test_loss from history_files order by all",
    "select run_id, step, layer, distinct_neurons from layers_files order by all",
    "select run_id, cell_id, width from planned order by run_id",
)


@pytest.fixture
def study(study_of):
    """A study of two packs."""
    pack = {"size": 2, "certify": 1, "checkpoint": 0.001}
    return study_of(sweep={"model.width": [4, 8], "seed": 2}, pack=pack)


@pytest.fixture
def run(study, monkeypatch):
    """Run the study below a folder, with checkpoints if asked for."""

    def launch(results, *, saves=False):
        with monkeypatch.context() as patched:
            if saves:
                patched.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
            run_study(study, str(results), InlineLauncher(device="cpu"))

    return launch


def folder_of(results):
    return StudyFolder(*open_location(str(results / "small")))


def rows_of(results):
    store = open_store(results)
    return [store.sql(query).rows for query in ROWS]


def damaged(results):
    """Cut a merged file of a study short."""
    compact(folder_of(results), grace_s=0)
    path = Path(list_tables(folder_of(results)).paths("history")[0])
    path.write_bytes(path.read_bytes()[:-9])


def crashes(before, action, place, every):
    """Yield the folder that each crash of an action leaves, or that of every so many crashes.

    The control files of the process that died are not there: it holds no lease.
    """
    results = place / "recorded"
    shutil.copytree(before, results)
    with recorded(results) as operations:
        action(results)
    shown = [item for item in operations if not item.path.startswith("small/control")]
    for count, lost in list(crashed_states(shown))[::every]:
        target = place / "crashed"
        replay(before, target, shown[:count], lost)
        yield target, (shown[count - 1 : count], lost)
        shutil.rmtree(target)


def check_crashes(before, action, run, place, every):
    """Run the study after each crash of an action, and require what it has undisturbed."""
    calm = place / "calm"
    run(calm)
    count = 0
    for target, where in crashes(before, action, place, every):
        run(target)
        assert verify(folder_of(target)).is_proven, where
        assert rows_of(target) == rows_of(calm), where
        count += 1
    assert count > 4


@pytest.mark.parametrize("every", [19, pytest.param(1, marks=pytest.mark.slow)])
def test_a_launch_goes_on_after_a_crash_at_any_file(run, tmp_path, every):
    before = tmp_path / "before"
    before.mkdir()
    check_crashes(before, lambda results: run(results, saves=True), run, tmp_path, every)


@pytest.mark.slow
def test_a_launch_finds_all_its_rows_after_a_crash_of_a_compaction(run, tmp_path):
    before = tmp_path / "before"
    run(before)
    merge = lambda results: compact(folder_of(results), grace_s=0)  # noqa: E731
    check_crashes(before, merge, run, tmp_path, 1)


@pytest.mark.slow
def test_a_launch_mends_what_a_crash_of_a_repair_has_left(run, tmp_path):
    before = tmp_path / "before"
    run(before)
    damaged(before)
    check_crashes(before, run, run, tmp_path, 1)
