"""A new project, followed by its own README."""

import re
import shlex
import subprocess
import sys

import pytest

from symstudy.cli.init import write_project
from symstudy.errors import ProjectError, UnknownNameError
from symstudy.study import load_study

COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("template", ["own", "builtin"])
def test_a_project_runs_by_its_readme(tmp_path, program, template):
    made = program("init", "my project/tiny", "--template", template, cwd=tmp_path)
    folder = tmp_path / "my project" / "tiny"
    assert made.returncode == 0, made.stderr
    assert "cd 'my project/tiny' && symstudy run study.toml" in made.stderr
    said = ""
    (block,) = COMMANDS.findall((folder / "README.md").read_text())
    for line in block.splitlines():
        first, *words = shlex.split(line)
        command = [sys.executable, "-m", "symstudy"] if first == "symstudy" else [sys.executable]
        told = subprocess.run(
            [*command, *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, (line, told.stdout, told.stderr)
        said += told.stdout
    assert "on tiny: SUPPORTED" in said
    assert "2 passed" in said
    assert (folder / "results" / "report.html").exists()


@pytest.mark.parametrize(("template", "cells"), [("own", 6), ("builtin", 6)])
def test_a_project_has_a_valid_study_named_for_its_folder(tmp_path, template, cells):
    write_project(tmp_path / "tiny", template)
    study = load_study(tmp_path / "tiny" / "study.toml")
    assert (study.name, len(study.cells)) == ("tiny", cells)
    assert (tmp_path / "tiny" / ".gitignore").read_text().startswith("results/")


def test_a_folder_that_holds_files_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ProjectError, match="must be a new or empty folder"):
        write_project(tmp_path, "own")
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_name_that_no_study_can_have_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ProjectError, match=r"letters, digits, _ and -.* but got 'a b'"):
        write_project(tmp_path / "a b", "own")
    with pytest.raises(UnknownNameError, match="--template must be one of .* but got 'onw'"):
        write_project(tmp_path / "x", "onw")
    assert not list(tmp_path.iterdir())
