import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from symstudy.datasets import DATASETS
from symstudy.measures import MEASURES
from symstudy.models import MODELS
from symstudy.store.tables.schema import HYPERPARAMETERS, LAYERS, RUNS, TABLES
from symstudy.store.tables.writer import arrow_array, arrow_table
from symstudy.study import Train
from symstudy.testing.strategies import small_studies

RENAMED = {
    "epsilon": "adam_epsilon",
    "kind": "",
    "layers": "attention_layers",
    "test_samples": "",
    "fresh": "",
}


def test_every_configuration_field_is_a_column():
    columns = {column.name for column in HYPERPARAMETERS if column.of_cell}
    configs: list[Any] = [Train]
    configs += [entry.config for entry in MODELS.values()]
    configs += [entry.config for entry in DATASETS.values()]
    for config in configs:
        for field in dataclasses.fields(config):
            name = RENAMED.get(field.name, field.name)
            assert not name or name in columns, f"{config.__name__}.{field.name}"


def test_every_measure_is_a_column():
    layers = {column.name for column in LAYERS.columns}
    runs = {column.name for column in RUNS.columns}
    for measure in MEASURES:
        assert measure.name in layers
        assert (measure.name in runs) == (measure.kind != "curve")


def test_columns_have_a_sentence_and_one_type():
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert all(column.meaning.endswith(".") for column in table.columns)


@given(small_studies())
def test_hyperparameters_fit_their_types(study):
    row = {
        column.name: column.of_cell(study.cells[0]) for column in HYPERPARAMETERS if column.of_cell
    }
    types = {field.name: field.type for field in RUNS.schema}
    for name, value in row.items():
        assert pa.array([value], types[name])[0].as_py() == value


def test_derived_hyperparameters(study_of):
    (cell,) = study_of(
        train={"optimizer": "sgd", "momentum": 0.9, "lr": 0.1, "batch_size": 8, "gamma": 0.01}
    ).cells
    row = {column.name: column.of_cell(cell) for column in HYPERPARAMETERS if column.of_cell}
    assert row["temperature"] == pytest.approx(0.1 / 0.1 / 8)
    assert row["lr_over_batch"] == pytest.approx(0.1 / 8)
    assert row["weight_decay"] == 0.02


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
