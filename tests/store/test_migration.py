"""Results of schema version 4 open, verify and are extended: their files lie beside these tests."""

import json
import math
import shutil
import tarfile
from pathlib import Path

import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.store import Store, open_location, open_store, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.lock import locked
from symstudy.store.files.repair import repair
from symstudy.store.tables.version_4 import migrate
from symstudy.study import load_study
from symstudy.testing.crashes import crashed_states, recorded, replay

ARCHIVE = Path(__file__).parent / "version_4.tar.gz"
NEW_NAMES = {"attention_layers": "layers", "adam_epsilon": "epsilon"}


@pytest.fixture
def old(tmp_path):
    """The stores of version 4, to be written to."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def expected(old):
    return json.loads((old / "expected.json").read_text())


def folder_of(place, study):
    filesystem, path = open_location(str(place))
    return StudyFolder(filesystem, f"{path}/{study}")


def differences(store, rows, rounding=1e-12):
    """Yield run, column and both values wherever `runs` does not have the expected ones.

    Recorded losses are sums in float32, whose order compilers choose; weights are the same bits.
    """
    columns = set(store.columns()["runs"])
    found = store.df("select * from runs").set_index("run_id").to_dict("index")
    for row in rows:
        for name, value in row.items():
            column = NEW_NAMES.get(name, name)
            # A measure of layers is their mean, and says so.
            column = column if column in columns else f"mean_{column}"
            if name in ("run_id", "lr"):
                continue
            assert column in columns, column
            now = found[row["run_id"]][column]
            is_null = now is None or (isinstance(now, float) and math.isnan(now))
            is_same = is_null if value is None else now == value
            allowed = rounding if name in ("test_loss", "train_loss") else 1e-12
            if not is_same and now != pytest.approx(value, rel=allowed):
                yield row["run_id"], name, value, now


@pytest.mark.parametrize("study", ["dense", "attention", "minima", "search"])
def test_runs_of_version_4_have_the_same_columns_and_values(old, expected, study):
    store = open_store(old / "results" / study)
    assert list(differences(store, expected[study])) == []
    for table in ("history", "layers"):
        assert store.sql(f"select count(*) from {table}").rows == [(expected[f"{study}/{table}"],)]
    assert verify(store.folders[0]).is_consistent


def test_the_rate_of_version_4_is_the_planned_one_and_that_of_steps_has_its_new_name(old):
    store = open_store(old / "results" / "dense")
    planned = "select distinct lr, schedule from planned order by lr"
    assert store.sql(planned).rows == [(0.01, "cosine"), (1e9, "cosine")]
    diverged = "select distinct lr from runs where outcome = 'diverged'"
    assert store.sql(diverged).rows == [(1e9,)]
    rates = "select min(learning_rate), max(learning_rate) from history where lr < 1"
    ((lowest, highest),) = store.sql(rates).rows
    assert 0 <= lowest < highest <= 0.01


def test_what_version_4_had_no_column_for_is_read_from_its_configurations(old):
    store = open_store(old / "results" / "dense")
    assert store.sql("select distinct test_samples, num, probe_samples from planned").rows == [
        (16, 5, 256)
    ]


def test_opening_results_of_version_4_changes_no_file(old):
    before = {path: path.read_bytes() for path in (old / "results").rglob("*") if path.is_file()}
    open_store(old / "results")
    verify(folder_of(old / "results", "dense"))
    after = {path: path.read_bytes() for path in (old / "results").rglob("*") if path.is_file()}
    assert after == before


def test_an_unfinished_study_of_version_4_goes_on_with_the_same_numbers(old, expected):
    folder = folder_of(old / "results", "unfinished")
    before = {row[0] for row in Store([folder]).sql("select run_id from missing").rows}
    assert before
    study = load_study(old / "studies" / "unfinished.toml")
    run_study(study, str(old / "results"), InlineLauncher(device="cpu"))
    assert verify(folder).is_proven
    assert folder.version == 5
    store = Store([folder])
    # Columns of hyperparameters that a run's components do not read are null now.
    names = ("outcome", "steps_done", "test_loss", "train_loss", "theta_norm", "rank", "width")
    rows = [
        {"run_id": row["run_id"], **{name: row[name] for name in names}}
        for row in expected["unfinished"]
    ]
    assert before <= {row["run_id"] for row in rows}
    assert list(differences(store, rows, rounding=2.4e-7)) == []
    assert store.sql("select distinct lr, epsilon from runs").rows == [(0.01, 1e-7)]
    assert store.sql("select count(*) from history where learning_rate is null").rows == [(0,)]


def test_more_seeds_of_a_study_of_version_4_are_the_same_cells(old):
    study = load_study(old / "studies" / "dense.toml", overrides=["seed=3"])
    run_study(study, str(old / "results"), InlineLauncher(device="cpu"))
    store = open_store(old / "results" / "dense")
    assert verify(store.folders[0]).is_proven
    counts = store.sql("select width, lr, count(*) from runs group by all order by all").rows
    assert {row[2] for row in counts} == {3 * len(study.cells) // len(counts)}


def test_results_of_version_4_are_compacted_and_keep_all_rows(old):
    folder = folder_of(old / "results", "dense")
    queries = [
        "select * from runs order by all",
        "select * from history order by all",
        "select * from layers order by all",
        "select * from planned order by all",
    ]
    before = [Store([folder]).sql(query) for query in queries]
    compact(folder, grace_s=0)
    assert folder.version == 5
    assert [Store([folder]).sql(query) for query in queries] == before
    assert verify(folder).is_proven


def test_a_crash_while_a_study_is_migrated_hides_no_hyperparameter(old):
    query = "select run_id, layers, lr, width from planned order by all"
    folder = folder_of(old / "results", "attention")
    for path in folder.list_files("packs", ".parquet"):
        # They would tell what the cells were.
        Path(path).unlink()
    expected = Store([folder]).sql(query).rows
    shutil.copytree(folder.path, old / "before")
    with recorded(Path(folder.path)) as operations, locked(folder):
        migrate(folder)
    assert folder.version == 5
    for count, lost in crashed_states(operations):
        if operations[count - 1].kind in ("write", "fsync"):
            continue
        replay(old / "before", old / "crashed", operations[:count], lost)
        crashed = folder_of(old, "crashed")
        migrate(crashed)
        assert Store([crashed]).sql(query).rows == expected, (count, lost)
        shutil.rmtree(old / "crashed")


def test_a_damaged_plan_of_version_4_is_made_again(old):
    folder = folder_of(old / "results", "attention")
    before = Store([folder]).sql("select run_id, layers, lr from planned order by all").rows
    (plan,) = folder.list_files("plan", ".parquet")
    Path(plan).write_bytes(b"PAR1")
    assert repair(folder)
    assert Store([folder]).sql("select run_id, layers, lr from planned order by all").rows == before
    assert verify(folder).is_proven


def test_a_run_of_version_4_that_lost_rows_of_a_layer_is_found(old):
    import pyarrow.parquet as pq

    folder = folder_of(old / "results", "dense")
    path = folder.list_files("layers", ".parquet")[0]
    rows = pq.read_table(path)
    run = rows["run_id"][0].as_py()
    folder.write_table(
        rows.filter([not (r["run_id"] == run and r["layer"] == 2) for r in rows.to_pylist()]),
        "layers",
        path.rsplit("/", 1)[-1],
    )
    assert not verify(folder).is_proven
