import subprocess

import pytest

from symstudy.store.tables.provenance import COMMIT, Commit, current_provenance, find_commit


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with one commit."""
    monkeypatch.delenv(COMMIT, raising=False)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        (tmp_path / "file").write_text("one")
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    return tmp_path


def test_the_commit_is_that_of_the_project(project):
    commit = find_commit(project)
    assert commit.sha is not None
    assert (len(commit.sha), commit.is_dirty) == (40, False)
    (project / "file").write_text("two")
    assert find_commit(project) == (commit.sha, True)


def test_a_folder_outside_git_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.delenv(COMMIT, raising=False)
    assert find_commit(tmp_path) == (None, None)
    assert find_commit(tmp_path).to_text() == ""


@pytest.mark.parametrize("is_dirty", [False, True])
def test_a_submitted_job_has_the_commit_that_was_submitted(project, monkeypatch, is_dirty):
    submitted = Commit("ab" * 20, is_dirty)
    monkeypatch.setenv(COMMIT, submitted.to_text())
    provenance = current_provenance(project)
    assert (provenance.git_sha, provenance.git_dirty) == submitted
