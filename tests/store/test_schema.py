import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from symstudy.components import Component, fields_of, load_all
from symstudy.measures import MEASURES
from symstudy.store.tables.hyperparameters import HYPERPARAMETERS
from symstudy.store.tables.schema import LAYERS, RUNS, TABLES
from symstudy.store.tables.writer import arrow_array, arrow_table
from symstudy.study import Train, make_study
from symstudy.study.columns import hyperparameters_of
from symstudy.testing.strategies import small_studies


def test_every_key_of_every_component_is_a_column():
    columns = {column.name for column in HYPERPARAMETERS}
    tables: dict[str, list[type[Component]]] = {
        "model": list(load_all("models").values()),
        "data": list(load_all("datasets").values()),
        "train": [Train],
    }
    for table, classes in tables.items():
        for cls in classes:
            names = {table if field.name == "kind" else field.name for field in fields_of(cls)}
            assert names <= columns, cls.__name__


def test_a_name_that_two_tables_have_is_prefixed_in_the_second():
    columns = {column.name for column in HYPERPARAMETERS}
    assert {"samples", "probe_samples", "model", "data", "epsilon", "layers"} <= columns
    # [train] has no kind; `train` is the file of training samples that data.train names.
    assert "Kind of train." not in {column.meaning for column in HYPERPARAMETERS}


def test_every_measure_is_a_column():
    layers = {column.name for column in LAYERS.columns}
    runs = {column.name for column in RUNS.columns}
    for measure in MEASURES:
        assert measure.name in layers
        assert (f"mean_{measure.name}" in runs) == (measure.kind != "curve")
        assert measure.name not in runs


def test_columns_have_a_sentence_and_one_type():
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert all(column.meaning.endswith(".") for column in table.columns)


@given(small_studies())
def test_hyperparameters_fit_their_types(study):
    types = {column.name: column.type for column in HYPERPARAMETERS}
    for column, value in hyperparameters_of(study.cells[0]).items():
        assert pa.array([value], types[column.name])[0].as_py() == value


def test_derived_hyperparameters(study_of):
    (cell,) = study_of(
        train={"optimizer": "sgd", "momentum": 0.9, "lr": 0.1, "batch_size": 8, "gamma": 0.01}
    ).cells
    row = {column.name: value for column, value in hyperparameters_of(cell).items()}
    assert row["temperature"] == pytest.approx(0.1 / 0.1 / 8)
    assert row["lr_over_batch"] == pytest.approx(0.1 / 8)
    assert row["weight_decay"] == 0.02
    assert row["lr"] == 0.1


def test_arguments_of_a_users_own_model_are_columns_that_give_way_to_others():
    study = make_study(
        {
            "schema": 1,
            "name": "own",
            "model": {"kind": "nets:Net", "blocks": 3, "width": 8, "rank": 2, "dropout": 0.1},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1},
        }
    )
    row = {c.name: v for c, v in hyperparameters_of(study.cells[0], {"rank"}).items()}
    assert (row["blocks"], row["width"], row["model_rank"], row["dropout"]) == (3, 8, 2, 0.1)


def test_what_is_not_a_number_is_null():
    assert arrow_array(np.array([1.0, np.nan, np.inf]), pa.float64()).to_pylist() == [
        1.0,
        None,
        None,
    ]
    assert arrow_array(np.array([3, -1]), pa.int64()).to_pylist() == [3, None]


def test_columns_outside_the_schema_are_refused():
    with pytest.raises(ValueError, match="must be in its schema"):
        arrow_table(RUNS, {"nonsense": [1]}, 1)
