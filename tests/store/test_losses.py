"""Faults 2, R6: what is lost without a trace in any count is told, with what mends it."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.store import Store, StudyFolder, drop_planned, never_trained, open_location, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.repair import repair
from symstudy.store.tables import completeness
from symstudy.store.tables.completeness import has_all_rows
from symstudy.store.tables.schema import RUN_KEYS, TABLES
from symstudy.study import make_study


def study_of(**sweep):
    return make_study(
        name="twins",
        model={"kind": "deep_linear", "depth": 3},
        data={"kind": "teacher_student", "input_dim": 3, "samples": 20, "test_samples": 30},
        train={"lr": 0.01, "optimizer": "sgd", "batch_size": 5, "steps": 20},
        sweep={"model.width": [4, 5], "train.gamma": [0.0, 0.1], "seed": 2, **sweep},
        probe={"num": 4, "detail": 2, "samples": 8, "representations": 10},
        pairs={"between": ["model.width"], "draws": 3},
        pack={"size": 2, "pad": "never", "certify": 1},
    )


def train(place, **sweep):
    return run_study(study_of(**sweep), str(place), InlineLauncher(device="cpu"))


def folder_of(place):
    return StudyFolder(*open_location(str(place / "twins")))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("twins")
    with pytest.MonkeyPatch.context() as patch:
        # Two files of pairs, which can be merged.
        patch.setattr("symstudy.launch.pairs.BATCH", 2)
        train(place)
    found = verify(folder_of(place))
    assert found.is_proven
    assert (found.lost, found.untold) == ([], [])
    return place


@pytest.fixture
def twins(trained, tmp_path):
    shutil.copytree(trained / "twins", tmp_path / "twins")
    return folder_of(tmp_path)


def first_of(folder, table):
    return min(folder.list_files(table, ".parquet"))


def rewrite(folder, path, change):
    """Write a file again, with a valid seal, with the rows that `change` makes of its own."""
    rows = change(pq.read_table(path))
    schema = TABLES[path.split("/")[-2]].schema
    kept = pa.schema(rows.schema, schema.metadata)
    folder.write_table(rows.cast(kept), *path.removeprefix(folder.join("")).split("/"))


def doubled(rows):
    """Return as many rows, of which the first is there twice and the next of its run is not.

    Their number in each run and the last step stay as they were.
    """
    runs = rows["run_id" if "run_id" in rows.column_names else "run_a"].to_pylist()
    _, second, *_ = (place for place, run in enumerate(runs) if run == runs[0])
    return rows.take([0 if place == second else place for place in range(rows.num_rows)])


def told(folder, *words):
    found = verify(folder)
    assert not found.is_consistent
    (sentence,) = found.lost
    assert all(word in sentence for word in words), sentence
    assert "Run the study again" in sentence


def mended(folder, tmp_path):
    train(tmp_path)
    found = verify(folder)
    assert found.is_proven, found
    assert found.lost == []


@pytest.mark.parametrize("how", ["file", "row", "twice"])
def test_r6_certificates_that_are_lost_are_told_and_made_again(twins, tmp_path, how):
    path = first_of(twins, "certificates")
    before = verify(twins).certificate
    assert before is not None
    assert before.runs == 1
    if how == "file":
        twins.delete("certificates", path.rsplit("/", 1)[-1])
    else:
        rewrite(twins, path, doubled if how == "twice" else lambda rows: rows.slice(1))
    told(twins, "certificates", "2 runs of 1 packs")
    mended(twins, tmp_path)
    after = verify(twins).certificate
    assert after is not None
    assert after.measures == before.measures


def test_certificates_that_a_launch_has_left_before_it_died_are_no_loss(twins):
    run_ids = {row[0] for row in Store([twins]).sql("select run_id from certificates").rows}
    for path in twins.list_files("runs", ".parquet"):
        rows = pq.read_table(path)
        if run_ids & set(rows["run_id"].to_pylist()):
            place = rows.schema.get_field_index("certificates_rows")
            none = pa.array([0] * rows.num_rows, pa.int64())
            changed = rows.set_column(place, rows.schema.field(place), none)
            twins.write_table(changed, "runs", path.rsplit("/", 1)[-1], keys=RUN_KEYS)
    assert verify(twins).is_proven
    assert repair(twins) == []


@pytest.mark.parametrize("table", ["history", "layers", "representations"])
def test_r6_a_row_that_is_there_twice_does_not_stand_for_one_that_is_lost(twins, tmp_path, table):
    path = first_of(twins, table)
    rewrite(twins, path, doubled)
    told(twins, f"lack rows of {table}")
    mended(twins, tmp_path)
    rows = pq.read_table(path, columns=["run_id"]).num_rows
    assert rows > 0


@pytest.mark.parametrize("table", ["history", "layers", "representations", "certificates"])
def test_rows_are_told_apart_a_part_of_the_runs_at_a_time(twins, monkeypatch, table):
    monkeypatch.setattr(completeness, "PART_ROWS", 1)
    assert has_all_rows(twins)
    rewrite(twins, first_of(twins, table), doubled)
    assert not has_all_rows(twins)


@pytest.mark.parametrize("grace_s", [0, 600])
def test_r6_the_same_in_a_merged_file(twins, tmp_path, grace_s):
    compact(twins, grace_s=grace_s)
    (path,) = list_tables(twins).paths("layers")
    rewrite(twins, path, doubled)
    told(twins, "lack rows of layers")
    mended(twins, tmp_path)


@pytest.mark.parametrize("grace_s", [0, 600])
def test_r6_a_pack_out_of_a_merged_file_counts_when_it_is_trained_again(twins, tmp_path, grace_s):
    compact(twins, grace_s=grace_s)
    (path,) = list_tables(twins).paths("layers")
    rewrite(twins, path, lambda rows: rows.slice(2))  # a row of each run of the first pack
    told(twins, "2 runs of 1 packs", "lack rows of layers")
    mended(twins, tmp_path)


def test_r6_a_failed_run_that_is_there_twice_is_told(store):
    folder = store.folders[0]
    path = next(
        each
        for each in folder.list_files("runs", ".parquet")
        if "diverged" in pq.read_table(each)["outcome"].to_pylist()
    )

    def with_second(rows):
        failed = rows.filter(pa.array([x == "diverged" for x in rows["outcome"].to_pylist()]))
        return pa.concat_tables([rows, failed.slice(0, 1)])

    rows = with_second(pq.read_table(path))
    folder.write_table(rows, "runs", path.rsplit("/", 1)[-1], keys=RUN_KEYS)
    (sentence,) = verify(folder).lost
    assert "lack rows of runs, or have some twice" in sentence
    repair(folder)
    assert verify(folder).is_consistent
    assert verify(folder).account.missing == 1


@pytest.mark.parametrize("is_merged", [False, True])
@pytest.mark.parametrize("how", ["file", "pair", "row", "twice"])
def test_r6_pairs_that_are_lost_are_told_and_compared_again(twins, tmp_path, how, is_merged):
    before = rows_of(twins)
    if is_merged:
        compact(twins, grace_s=0)
    paths = list_tables(twins).paths("pairs")
    assert len(paths) == (1 if is_merged else 2)
    path = paths[0]
    run = pq.read_table(path)["run_a"][0].as_py()
    changes = {
        "pair": lambda rows: rows.filter(pa.array([x != run for x in rows["run_a"].to_pylist()])),
        "row": lambda rows: rows.slice(1),
        "twice": doubled,
    }
    if how == "file":
        twins.delete(*path.removeprefix(twins.join("")).split("/"))
        if is_merged:
            assert path in verify(twins).damaged
            mended(twins, tmp_path)
            return
    else:
        rewrite(twins, path, changes[how])
    told(twins, "pairs of runs")
    mended(twins, tmp_path)
    assert rows_of(twins) == before


def rows_of(folder):
    columns = "run_a, run_b, step_a, step_b, layer_a, layer_b, cka"
    return Store([folder]).sql(f"select {columns} from pairs order by all").rows


def without_numbers(folder, *names):
    """Make the rows of runs those of a version that did not record these numbers."""
    for path in folder.list_files("runs", ".parquet"):
        rows = pq.read_table(path).drop_columns([f"{name}_rows" for name in names])
        folder.write_table(rows, "runs", path.rsplit("/", 1)[-1])


def test_r6_older_rows_say_what_they_cannot_tell_and_are_proven(twins):
    without_numbers(twins, "certificates")
    found = verify(twins)
    assert found.is_proven
    (sentence,) = found.untold
    assert "8 of 8 runs do not say how many certificates" in sentence
    assert repair(twins) == []


def test_r6_older_rows_that_have_lost_representations_leave_no_pair_out(twins, tmp_path):
    without_numbers(twins, "certificates", "representations")
    assert verify(twins).is_proven
    path = first_of(twins, "representations")
    twins.delete("representations", path.rsplit("/", 1)[-1])
    told(twins, "lack rows of representations")
    for pairs in list_tables(twins).paths("pairs"):
        twins.delete("pairs", pairs.rsplit("/", 1)[-1])
    mended(twins, tmp_path)
    assert len({row[:2] for row in rows_of(twins)}) == 4


def test_r6_a_pair_without_representations_is_counted_as_left_out(twins, tmp_path, monkeypatch):
    for pairs in list_tables(twins).paths("pairs"):
        twins.delete("pairs", pairs.rsplit("/", 1)[-1])
    kept = "symstudy.launch.pairs.read_activations"
    monkeypatch.setattr(kept, lambda folder, packs: {})
    summary = train(tmp_path)
    assert (summary.pairs, summary.pairs_left_out) == (0, 4)
    told(twins, "4 pairs of runs are in no file")


def test_r6_older_pairs_without_a_record_are_proven_and_say_so(twins):
    values = twins.read_study()
    del values["pairs"]
    twins.write_study(values)
    found = verify(twins)
    assert found.is_proven
    assert any("pairs of runs were compared was not recorded" in each for each in found.untold)


def stopped_and_extended(tmp_path):
    """Plan some runs that are never trained, then train others in the same folder."""
    from symstudy.launch import planning

    class StoppedError(Exception):
        pass

    def stop(*args):
        planning.write_ledger(*args)
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symstudy.launch.session.write_ledger", stop)
        with pytest.raises(StoppedError):
            train(tmp_path, **{"train.gamma": [0.3]})
    run_study(study_of(), str(tmp_path), InlineLauncher(device="cpu"), extend=True)
    return folder_of(tmp_path)


def delete_plan(folder, number):
    """Delete the file of the plan that a launch has written."""
    launch = folder.read_study()["launches"][number]["launch"]
    folder.delete("plan", f"{launch}.parquet")


def test_r6_a_plan_that_is_lost_is_told_and_written_again(tmp_path):
    folder = stopped_and_extended(tmp_path)
    found = verify(folder)
    assert (found.account.planned, found.account.missing, found.lost) == (12, 4, [])
    delete_plan(folder, 0)
    told(folder, "4 runs that its launches planned are in no plan")
    repair(folder)
    found = verify(folder)
    assert (found.account.planned, found.account.missing, found.lost) == (12, 4, [])


def test_r6_the_plan_of_the_last_launch_is_known_from_its_packs(tmp_path):
    folder = stopped_and_extended(tmp_path)
    values = folder.read_study()
    for launch in values["launches"]:
        # As an older version wrote it.
        del launch["dropped"]
    folder.write_study(values)
    shutil.rmtree(tmp_path / "twins" / "runs")
    (tmp_path / "twins" / "runs").mkdir()
    delete_plan(folder, 1)
    told(folder, "8 runs that the last launch asked for are in no plan")
    repair(folder)
    assert verify(folder).account.planned == 12


def test_runs_that_are_dropped_are_not_lost(tmp_path):
    folder = stopped_and_extended(tmp_path)
    assert drop_planned(folder, never_trained(folder)) == 4
    found = verify(folder)
    assert (found.account.planned, found.is_proven, found.lost) == (8, True, [])
    assert repair(folder) == []
    assert verify(folder).account.planned == 8


def test_runs_that_an_older_version_dropped_may_be_lost(tmp_path):
    folder = stopped_and_extended(tmp_path)
    drop_planned(folder, never_trained(folder))
    values = folder.read_study()
    for launch in values["launches"]:
        del launch["dropped"]
    folder.write_study(values)
    found = verify(folder)
    assert found.is_proven
    assert any("they were dropped, or a file of plan/ is lost" in each for each in found.untold)
    assert repair(folder) == []


def test_a_launch_that_died_before_it_had_planned_has_lost_nothing(tmp_path, monkeypatch):
    class DiedError(Exception):
        pass

    def die(*args):
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr("symstudy.launch.session.write_ledger", die)
        with pytest.raises(DiedError):
            train(tmp_path)
    assert verify(folder_of(tmp_path)).lost == []
