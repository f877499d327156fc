import tomllib

import pytest

from symstudy.errors import StudyFileError
from symstudy.study import make_study
from symstudy.study.keys import describe_keys

TABLES = [key for key in describe_keys() if key.table in ("train", "probe", "pack")]


def test_every_key_has_a_meaning():
    assert [key for key in describe_keys() if not key.meaning.endswith(".")] == []
    assert len({(key.table, key.key) for key in describe_keys()}) == len(describe_keys())


@pytest.mark.parametrize("key", [key for key in TABLES if key.default], ids=lambda key: key.key)
def test_defaults_are_valid_toml_that_a_study_takes(key):
    value = tomllib.loads(f"value = {key.default}")["value"]
    tables: dict[str, dict[str, object]] = {
        "model": {"kind": "fcn"},
        "data": {"kind": "identity"},
        "train": {"lr": 0.1, "optimizer": "adam" if key.key in ADAM else "sgd"},
    }
    tables[key.table] = {**tables.get(key.table, {}), key.key: value}
    make_study({"schema": 1, "name": "keys", **tables})


ADAM = ("beta1", "beta2", "epsilon")


def test_bounds_are_those_that_are_checked():
    (steps,) = (key for key in TABLES if key.key == "steps")
    assert steps.values == "integer at least 1"
    study = {"schema": 1, "name": "keys", "model": {"kind": "fcn"}, "data": {"kind": "identity"}}
    with pytest.raises(StudyFileError, match="at least 1"):
        make_study({**study, "train": {"lr": 0.1, "steps": 0}})
