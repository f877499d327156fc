"""What comes with symstudy: found by name, and copied with all that it needs."""

import sys
from pathlib import Path

import pytest

from symstudy.errors import ProjectError, UnknownNameError
from symstudy.findings.discovery import load_claims
from symstudy.project import copy_shipped, find_project, find_study


def test_a_study_is_found_by_its_name_where_no_file_has_it(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    assert find_study(Path("smoke")) == root / "studies" / "smoke.toml"
    assert find_study(Path("smoke.toml")) == Path("smoke.toml")
    assert find_study(Path("nothing")) == Path("nothing")
    Path("smoke").write_text("")
    assert find_study(Path("smoke")) == Path("smoke")


def test_a_study_of_the_project_wins_over_a_shipped_one(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.symstudy]\nstudies = "."\n')
    (tmp_path / "smoke.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_study(Path("smoke")) == tmp_path / "smoke.toml"


def test_a_copy_is_the_file_and_overwrites_nothing(tmp_path, root):
    (path,) = copy_shipped("smoke", tmp_path / "new", claims=False).paths
    assert path.read_bytes() == (root / "studies" / "smoke.toml").read_bytes()
    with pytest.raises(ProjectError, match=r"must not overwrite.*smoke\.toml.*--to FOLDER"):
        copy_shipped("smoke", tmp_path / "new", claims=False)


def test_claims_are_copied_with_all_that_they_import(tmp_path, monkeypatch):
    copied = copy_shipped("width_saturation_exact", tmp_path, claims=True)
    assert copied.missing == ""
    monkeypatch.setattr(sys.modules["symstudy.findings.claim"], "REGISTERED", {})
    for name in [name for name in sys.modules if name.split(".")[0] == "analysis"]:
        monkeypatch.delitem(sys.modules, name)
    project = find_project(tmp_path)
    said: list[str] = []
    claims = load_claims(project, said.append)
    assert "width_saturation_exact" in claims
    assert said == []
    for name in [name for name in sys.modules if name.split(".")[0] == "analysis"]:
        del sys.modules[name]


def test_a_project_that_is_there_is_told_what_it_lacks(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert "[tool.symstudy]" in copy_shipped("depth_gap", tmp_path, claims=True).missing


def test_files_for_a_cluster_are_copied_as_a_folder(tmp_path, root):
    copy_shipped("slurm", tmp_path, claims=False)
    assert sorted(path.name for path in (tmp_path / "slurm").iterdir()) == sorted(
        path.name for path in (root / "cluster" / "slurm").iterdir() if path.name != "__pycache__"
    )


def test_an_unknown_name_is_told_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'smoke'"):
        copy_shipped("smok", tmp_path, claims=False)
