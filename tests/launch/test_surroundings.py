"""What a launch ran is kept with its results, and comes out again byte for byte."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import StoreError
from symstudy.launch import run_study
from symstudy.launch.surroundings import CHANGES, find_changes, installed_packages
from symstudy.store import find_studies, read_launches
from symstudy.store.files.kept_texts import KEPT_TEXTS, keep_text, read_text
from symstudy.study import load_study

MODEL = """
import torch

from kept_helper import GAIN

class Net(torch.nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.a = torch.nn.Linear(input_dim, output_dim)

    def forward(self, x):
        return self.a(x) * GAIN
"""
STUDY = """
schema = 1
name = "own"
title = "Own code"
[model]
kind = "kept_model:Net"
[data]
kind = "teacher_student"
input_dim = 2
samples = 8
test_samples = 8
[train]
lr = 0.1
steps = 2
[sweep]
seed = 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A git project with a changed study file, trained by code of its own."""
    place = tmp_path_factory.mktemp("project")
    (place / "kept_model.py").write_text(MODEL)
    (place / "kept_helper.py").write_text("GAIN = 2.0\n")
    (place / "own.toml").write_text(STUDY)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", place, *words], check=True)
    (place / "kept_helper.py").write_text("GAIN = 3.0\n")
    yield place
    for name in ("kept_model", "kept_helper"):
        sys.modules.pop(name, None)
    sys.path[:] = [each for each in sys.path if each != str(place)]


@pytest.fixture(scope="module")
def results(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(CHANGES, raising=False)
        run_study(load_study(place / "own.toml"), str(place / "results"), launcher="inline")
    return place / "results"


def provenance(*words):
    return CliRunner().invoke(app, ["provenance", *map(str, words)])


def test_packages_changes_and_own_code_come_out_as_they_were(place, results, tmp_path):
    assert provenance(results, "-o", tmp_path / "then").exit_code == 0
    then = tmp_path / "then"
    assert (then / "sources" / "kept_helper.py").read_text() == "GAIN = 3.0\n"
    assert (then / "sources" / "kept_model.py").read_text() == MODEL
    packages = dict(line.split("==") for line in (then / "packages.txt").read_text().split())
    assert packages["torch"] == __import__("torch").__version__
    assert {"numpy", "duckdb", "symstudy"} <= set(packages)
    # The commit and the changes make the project that was trained.
    again = tmp_path / "again"
    subprocess.run(["git", "clone", "-q", place, again], check=True)
    assert (again / "kept_helper.py").read_text() == "GAIN = 2.0\n"
    subprocess.run(["git", "-C", again, "apply", then / "changes.diff"], check=True)
    assert (again / "kept_helper.py").read_text() == "GAIN = 3.0\n"


def test_the_command_tells_launches_and_hours(results):
    told = json.loads(provenance(results, "--json").stdout)
    (launch,) = told["launches"]
    assert (launch["study"], launch["new_runs"], launch["is_dirty"]) == ("own", 1, True)
    assert set(launch["sources"]) == {"kept_model.py", "kept_helper.py"}
    (time,) = told["claims"]
    assert (time["study"], time["claim"], time["runs"]) == ("own", "", 1)
    assert time["hours"] > 0
    assert "kept" in provenance(results).stdout


def test_one_text_is_printed(results):
    assert "+GAIN = 3.0" in provenance(results, "--show", "changes.diff").stdout
    answer = provenance(results, "--show", "sources/other.py")
    assert "kept no 'sources/other.py'" in str(answer.exception)


def test_a_folder_that_is_there_is_not_written_over(results, tmp_path):
    assert "must name a new folder" in str(provenance(results, "-o", tmp_path).exception)


@pytest.mark.parametrize("path", ["../../escaped", "a/../../../escaped"])
def test_a_path_outside_is_refused(results, tmp_path, path):
    (folder,) = find_studies([str(results)])
    study = folder.read_study()
    name = keep_text(folder, b"x")
    before = study["launches"]
    hostile = {**before[-1], "launch": "hostile", "sources": {path: name}}
    folder.write_study({**study, "launches": [*before, hostile]})
    try:
        answer = provenance(results, "--launch", "hostile", "-o", tmp_path / "new")
        assert "must lie in one folder" in str(answer.exception)
        assert not (tmp_path / "new").exists()
    finally:
        folder.write_study(study)


@pytest.mark.parametrize("name", ["../runs", "", 3, None, "a" * 63, "A" * 64])
def test_a_name_that_is_no_hash_is_refused(results, name):
    (folder,) = find_studies([str(results)])
    with pytest.raises(StoreError, match="64 hexadecimal digits"):
        read_text(folder, name)


def test_a_text_that_has_changed_is_refused(results):
    (folder,) = find_studies([str(results)])
    name = keep_text(folder, b"as it was")
    folder.write_bytes(b"changed", KEPT_TEXTS, name)
    with pytest.raises(StoreError, match="has changed since"):
        read_text(folder, name)


def test_a_text_lies_once(results):
    (folder,) = find_studies([str(results)])
    (launch,) = read_launches(folder)
    assert keep_text(folder, installed_packages().encode()) == launch.packages


def test_changes_of_a_submitted_job_are_those_that_it_came_with(tmp_path, monkeypatch):
    (tmp_path / "a.diff").write_bytes(b"diff")
    monkeypatch.setenv(CHANGES, str(tmp_path / "a.diff"))
    assert find_changes(tmp_path) == b"diff"
    monkeypatch.delenv(CHANGES)
    assert find_changes(tmp_path) == b""


def test_records_of_wrong_types_count_as_absent(results):
    (folder,) = find_studies([str(results)])
    study = folder.read_study()
    wrong = {"launch": 3, "new_runs": "many", "git_dirty": 1, "sources": ["x"], "packages": {}}
    folder.write_study({**study, "launches": [wrong]})
    try:
        (launch,) = read_launches(folder)
        assert launch.texts(folder) == {}
        assert (launch.launch, launch.new_runs, launch.is_dirty) == ("", None, None)
    finally:
        folder.write_study(study)
