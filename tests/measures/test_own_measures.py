"""Measures of the user's own: named in a study, recorded as typed columns, part of identity."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy.cli.studies import measure_rows
from symstudy.errors import ModelError, StudyFileError
from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.measures import catalogue, find_measure, layer_columns, network_columns, run_columns
from symstudy.measures.catalogue import installed_measures
from symstudy.store import Store, StudyFolder, open_location
from symstudy.store.tables.hyperparameters import HYPERPARAMETERS
from symstudy.store.tables.schema import HISTORY, LAYERS, RUNS, TABLES
from symstudy.store.tables.writer import write_pack
from symstudy.study.measured import TABLE_COLUMNS
from symstudy.testing.stores import PLANTED
from symstudy.training import train_pack

EACH = ("peak_norm", "positive", "steepness", "probes")


def names_in(module, *names):
    return [f"{module}:{name}" for name in names]


def test_a_named_measure_of_ones_own_is_recorded_of_every_layer(own, study_with):
    study = study_with(names_in(own, "peak_norm", "positive"))
    result = train_pack(study.runs(), study.pack)
    np.testing.assert_array_equal(result.layers["peak_norm"], 2.0 * result.layers["max_norm"])
    assert result.layers["positive"].dtype == np.int64
    last = result.layers["step"] == 5
    mine = result.layers["run_id"] == result.runs["run_id"][1]
    mean = result.layers["peak_norm"][last & mine].mean()
    assert mean in [float(column[1]) for name, column in result.runs.items() if "peak" in name]


def test_a_measure_of_networks_gets_model_parameters_and_a_batch(own, study_with):
    study = study_with(names_in(own, "steepness"))
    result = train_pack(study.runs(), study.pack)
    detailed = np.isfinite(result.history["grad_norm"])
    assert (result.history["steepness"][detailed] > 0).all()
    assert np.isnan(result.history["steepness"][~detailed]).all()
    final = (result.history["step"] == 5) & (result.history["run_id"] == result.runs["run_id"][2])
    assert result.runs["steepness"][2] == result.history["steepness"][final]


def test_a_measure_of_a_run_gets_its_history(own, study_with):
    study = study_with(names_in(own, "probes"))
    result = train_pack(study.runs(), study.pack)
    assert result.runs["probes"].tolist() == [len(set(result.history["step"]))] * 3


def test_a_run_has_the_same_measures_alone(own, study_with):
    study = study_with(names_in(own, *EACH))
    runs = study.runs()
    together, alone = (train_pack(some, study.pack) for some in (runs, runs[1:2]))
    assert alone.runs["steepness"][0] == pytest.approx(together.runs["steepness"][1], rel=1e-6)
    mine = together.layers["run_id"] == runs[1].run_id
    np.testing.assert_array_equal(together.layers["peak_norm"][mine], alone.layers["peak_norm"])


def test_each_becomes_a_typed_column_of_its_tables_at_once(own, study_with, tmp_path):
    study = study_with(names_in(own, *EACH))
    result = train_pack(study.runs(), study.pack)
    filesystem, path = open_location(str(tmp_path / "results"))
    folder = StudyFolder(filesystem, f"{path}/named")
    write_pack(
        folder, "named", "pack0", study.runs(), PLANTED,
        run_columns=result.runs, history=result.history, layers=result.layers,
    )  # fmt: skip
    schemas = {
        table.name: pq.read_schema(tmp_path / "results" / "named" / table.name / "pack0.parquet")
        for table in (RUNS, HISTORY, LAYERS)
    }
    assert schemas["layers"].field("positive").type == pa.int64()
    assert schemas["layers"].field("peak_norm").type == pa.float64()
    assert schemas["history"].field("steepness").type == pa.float64()
    assert schemas["runs"].field("steepness").type == pa.float64()
    assert schemas["runs"].field("probes").type == pa.int64()


def test_the_source_of_a_measure_counts_in_the_identity_of_runs(own, study_with, tmp_path):
    named = study_with(names_in(own, "peak_norm")).runs()[0]
    assert named.run_id != study_with([]).runs()[0].run_id
    file = tmp_path / f"{own}.py"
    file.write_text(file.read_text().replace("2.0 *", "3.0 *"), encoding="utf-8")
    assert study_with(names_in(own, "peak_norm")).runs()[0].run_id != named.run_id


def test_a_measure_is_found_without_importing_its_module(own):
    assert find_measure(f"{own}:steepness").on == "network"
    assert own not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gamma", "the hyperparameter train.gamma"),
        ("Gamma", "'Gamma', the hyperparameter train.gamma"),
        ("Rank", "'Rank', a measure that comes with symstudy"),
        ("Peak_Norm", "must name measures that are no other column"),
        ("test_loss", "a column of every study"),
        ("undeclared", "must name a declared measure"),
        ("missing", "has no 'missing'"),
        ("Mirror.distanec", "Did you mean 'distance'"),
    ],
)
def test_w1_what_cannot_be_a_column_is_a_mistake_of_the_study(own, study_with, name, message):
    with pytest.raises(StudyFileError, match=message):
        study_with(names_in(own, "peak_norm", name))


def test_two_measures_of_one_name_are_a_mistake(own, study_with, tmp_path):
    (tmp_path / f"{own}_too.py").write_text((tmp_path / f"{own}.py").read_text(), "utf-8")
    with pytest.raises(StudyFileError, match=f"as '{own}:peak_norm' is"):
        study_with([f"{own}:peak_norm", f"{own}_too:peak_norm"])


def test_a_measure_that_is_not_one_number_a_run_says_so(own, study_with):
    study = study_with(names_in(own, "wrong_shape"))
    with pytest.raises(ModelError, match=r"one number a run, a tensor of shape \[3\].*\[\]"):
        train_pack(study.runs(), study.pack)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text", r"must return a number, but .*:text returned str"),
        ("halves", r"must return whole numbers from 0 on.*:halves returned 0.5.*kind=\"number\""),
        ("imaginary", r"must return real numbers, but .*:imaginary returned torch.complex128"),
        ("mistaken", r"without an error, but .*:mistaken raised AttributeError"),
    ],
)
def test_what_is_no_number_is_refused_with_the_name_of_the_measure(own, study_with, name, message):
    study = study_with(names_in(own, name))
    with pytest.raises(ModelError, match=message):
        train_pack(study.runs(), study.pack)


def test_what_does_not_apply_may_be_not_a_number_or_below_0(own, study_with, tmp_path):
    names = ("uncounted", "unknown", "unmeasured")
    study = study_with(names_in(own, *names))
    summary = run_study(study, str(tmp_path / "results"), InlineLauncher(device="cpu"))
    assert (summary.done, summary.failed) == (3, 0)
    store = Store([open_study_folder(str(tmp_path / "results"), study)])
    query = "select count(*), count(uncounted), count(unknown), count(mean_unmeasured) from runs"
    assert store.sql(query).rows == [(3, 0, 0, 0)]
    assert store.sql("select count(uncounted) from history").rows == [(0,)]
    assert store.sql("select count(unmeasured) from layers").rows == [(0,)]


def test_a_measure_of_attention_layers_is_a_column_of_these_alone(own, study_with):
    model = {"kind": "transformer", "width": 6, "heads": 2, "head_dim": 3, "mlp_width": 4}
    data = {"kind": "in_context", "length": 5, "token_dim": 3, "test_samples": 20}
    study = study_with(names_in(own, "loudest"), data, **model)
    layers = train_pack(study.runs(), study.pack).layers
    is_attention = np.isfinite(layers["query_key_effective_rank"])
    assert is_attention.any()
    assert np.isfinite(layers["loudest"][is_attention]).all()
    assert np.isnan(layers["loudest"][~is_attention]).all()


def test_measures_beside_the_studies_are_listed_by_the_names_that_a_study_gives_them(
    own, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("def (:", encoding="utf-8")
    rows = {row["measure"]: row for row in measure_rows(None)}
    assert rows[f"{own}:probes"]["recorded"] == "if named"
    assert rows[f"{own}:probes"]["meaning"] == "probes of the run"
    assert f"{own}:undeclared" not in rows
    assert own not in sys.modules


def test_an_installed_measure_is_known_by_its_entry_point(own, study_with, monkeypatch):
    point = importlib.metadata.EntryPoint("peak", f"{own}:peak_norm", "symstudy.measures")
    monkeypatch.setattr(
        catalogue,
        "installed_points",
        lambda group: [point] if group == "symstudy.measures" else [],
    )
    installed_measures.cache_clear()
    try:
        study = study_with(["peak"])
        result = train_pack(study.runs(), study.pack)
        np.testing.assert_array_equal(result.layers["peak"], 2.0 * result.layers["max_norm"])
    finally:
        installed_measures.cache_clear()


def test_columns_are_told_by_the_table_that_has_them(own):
    names = names_in(own, *EACH)
    assert [item.name for item in layer_columns([*names, "stable_rank"])] == [
        "peak_norm",
        "positive",
    ]
    assert [item.name for item in network_columns(names)] == ["steepness"]
    assert [item.name for item in run_columns(names)] == ["probes"]


def test_every_column_of_the_results_is_taken():
    known = TABLE_COLUMNS | {column.name for column in HYPERPARAMETERS}
    layers = {column.name for column in LAYERS.columns}
    # Measures of layers and runs do not come to the table of pairs, which keeps names of its own.
    for table in (each for each in TABLES.values() if each.name != "pairs"):
        for column in table.columns:
            name = column.name.removeprefix("mean_")
            assert name in known or name in layers, f"{table.name}.{column.name}"


def test_listing_and_reading_a_study_load_no_torch(own, tmp_path):
    code = (
        "import sys; from symstudy.measures import catalogue, find_measure, LAYER_MEASURES;"
        f"find_measure('{own}:peak_norm'); import symstudy.study.measured;"
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ran.stdout.strip() == "False"
