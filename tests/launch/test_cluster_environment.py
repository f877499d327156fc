"""What travels with a study, found without importing it."""

import cProfile
import pstats
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symstudy.datasets import stored
from symstudy.errors import LaunchError
from symstudy.launch.cluster import environment as environment_module
from symstudy.launch.cluster.environment import make_importable, own_modules, runtime_environment
from symstudy.study import load_study

OWN = {"kind": "my_nets_4f2a.deep:Wide", "width": 8}
SOURCE = "raise AssertionError('imported')\n"


@pytest.fixture
def study(study_of, tmp_path, monkeypatch):
    """A study with a model of the user's own, whose file is in a folder of its own."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "here").mkdir()
    file = tmp_path / "studies" / "own.toml"
    file.write_text("# the study")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    return replace(study_of(model=OWN), source=str(file))


def test_a_study_of_known_models_needs_nothing(study_of):
    assert own_modules(study_of()) == []
    assert runtime_environment(study_of(), is_remote=False) == {}


def calls_of_items(study):
    """How often the fields of a study's tables are walked to find its own modules."""
    profile = cProfile.Profile()
    assert profile.runcall(own_modules, study) == []
    calls = pstats.Stats(profile).get_stats_profile().func_profiles["items_of"].ncalls
    return int(calls.split("/")[0])


def test_a_table_that_several_cells_share_is_looked_through_once(study_of):
    rates = {"train.lr": [0.001 * (1 + place) for place in range(20)]}
    narrow = study_of(sweep=rates)
    wide = study_of(sweep={**rates, "model.width": [2, 3, 4]})
    assert len(wide.cells) == 3 * len(narrow.cells)
    assert calls_of_items(wide) < 1.5 * calls_of_items(narrow)


def test_a_module_beside_the_study_file_wins_over_one_in_the_working_directory(study, tmp_path):
    for place in ("studies", "here"):
        (tmp_path / place / "my_nets_4f2a").mkdir()
        (tmp_path / place / "my_nets_4f2a" / "deep.py").write_text(SOURCE)
    (module,) = own_modules(study)
    assert module == ("my_nets_4f2a", tmp_path / "studies" / "my_nets_4f2a")


def test_a_single_file_travels_alone(study, study_of, tmp_path):
    (tmp_path / "here" / "my_nets_4f2a.py").write_text(SOURCE)
    single = replace(study_of(model={"kind": "my_nets_4f2a:Wide"}), source=study.source)
    environment = runtime_environment(single, is_remote=True)
    assert environment == {"py_modules": [str(tmp_path / "here" / "my_nets_4f2a.py")]}


def test_an_installed_module_does_not_travel(study, study_of):
    installed = replace(study_of(model={"kind": "sklearn.nets:Wide"}), source=study.source)
    assert own_modules(installed) == [("sklearn", None)]
    assert runtime_environment(installed, is_remote=True) == {}


def test_an_importable_module_that_is_not_installed_travels(study, tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "my_nets_4f2a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "my_nets_4f2a" / "__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    (module,) = own_modules(study)
    assert module.path == tmp_path / "elsewhere" / "my_nets_4f2a"


def test_a_module_that_is_nowhere_is_named(study):
    with pytest.raises(LaunchError, match=r"beside the study file.*found no 'my_nets_4f2a'"):
        own_modules(study)


def test_where_an_object_store_is_travels_to_other_machines_but_no_secret(study_of, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:9000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert runtime_environment(study_of(), is_remote=False) == {}
    environment = runtime_environment(study_of(), is_remote=True)
    assert environment == {"env_vars": {"AWS_ENDPOINT_URL": "http://192.0.2.1:9000"}}


def test_a_submitted_job_has_what_came_with_it(study, tmp_path, monkeypatch):
    (tmp_path / "here" / "my_nets_4f2a.py").write_text(SOURCE)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:9000")
    assert runtime_environment(study, is_remote=True) == {}


def test_this_process_can_import_what_its_workers_can(study, tmp_path, monkeypatch):
    (tmp_path / "studies" / "my_nets_4f2a.py").write_text("Wide = 3\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    make_importable(study)
    make_importable(study)
    assert sys.path.count(str(tmp_path / "studies")) == 1


@pytest.fixture
def single(study, study_of):
    """A study whose model is in one file, beside the study file."""
    return replace(study_of(model={"kind": "my_nets_4f2a:Wide"}), source=study.source)


def test_the_modules_beside_it_that_a_module_imports_travel_too(single, tmp_path):
    place = tmp_path / "studies"
    (place / "my_nets_4f2a.py").write_text(
        "import json, numpy\nfrom my_layers_4f2a import Wide\n" + SOURCE
    )
    (place / "my_layers_4f2a.py").write_text("def make():\n    import my_parts_4f2a.deep\n")
    (place / "my_parts_4f2a").mkdir()
    (place / "my_parts_4f2a" / "deep.py").write_text("import my_nets_4f2a\n")
    (place / "json.py").write_text(SOURCE)
    (place / "unused_4f2a.py").write_text(SOURCE)
    names = {"my_nets_4f2a.py", "my_layers_4f2a.py", "my_parts_4f2a"}
    assert {module.path for module in own_modules(single)} == {place / name for name in names}
    environment = runtime_environment(single, is_remote=False)
    assert set(environment["py_modules"]) == {str(place / name) for name in names}


def test_a_module_that_cannot_be_parsed_travels_alone(single, tmp_path):
    (tmp_path / "studies" / "my_nets_4f2a.py").write_text("import (\n")
    (module,) = own_modules(single)
    assert module.name == "my_nets_4f2a"


@pytest.fixture
def study_on_data(tmp_path, monkeypatch):
    """A study of a small file in its own folder, and of one that lies elsewhere."""
    folder = tmp_path / "with data"
    (folder / "data").mkdir(parents=True)
    for place in (folder / "data", tmp_path):
        np.savez(place / "a.npz", x=np.arange(6.0)[:, None], y=np.arange(6.0))
    monkeypatch.setenv("SYMSTUDY_CACHE", str(tmp_path / "arrays"))

    def make(path):
        text = (
            'schema = 1\nname = "s"\n[model]\nkind = "fcn"\n[train]\nlr = 0.1\n'
            f'batch_size = 2\n[data]\nkind = "file"\ntask = "regression"\ntrain = "{path}"\n'
        )
        (folder / "s.toml").write_text(text)
        return load_study(folder / "s.toml")

    return make


def test_a_small_data_file_beside_the_study_travels_and_is_found(
    study_on_data, tmp_path, monkeypatch
):
    study = study_on_data("data/a.npz")
    assert runtime_environment(study, is_remote=False) == {}
    (staged,) = runtime_environment(study, is_remote=True)["py_modules"]
    assert Path(staged).name == "symstudy_data"
    # What Ray does with it on another node, which has neither the file nor its arrays.
    shutil.copytree(staged, tmp_path / "node" / "symstudy_data")
    (tmp_path / "with data" / "data" / "a.npz").unlink()
    monkeypatch.setenv("SYMSTUDY_CACHE", str(tmp_path / "arrays of the node"))
    data = study.cells[0].data
    assert "found none of" in data.check_files()
    monkeypatch.syspath_prepend(tmp_path / "node")
    stored.kept_arrays.cache_clear()
    assert data.check_files() == ""
    assert len(data.build(0).x_train) == 5


def test_data_that_lies_elsewhere_or_is_large_does_not_travel(study_on_data, tmp_path, monkeypatch):
    elsewhere = study_on_data(tmp_path / "a.npz")
    assert runtime_environment(elsewhere, is_remote=True) == {}
    monkeypatch.setattr(environment_module, "LARGEST_DATA_BYTES", 10)
    assert runtime_environment(study_on_data("data/a.npz"), is_remote=True) == {}
