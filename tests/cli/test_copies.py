"""Row W6 of the trial: a copy of a study beside the original; and output that has no room."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from symstudy import make_study
from symstudy.cli.app import app
from symstudy.testing.stores import plant_store


@pytest.fixture
def planted(tmp_path):
    study = make_study(
        {
            "schema": 1,
            "name": "planted",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.01},
            "sweep": {"seed": 2},
        }
    )
    plant_store(tmp_path / "all", study, lambda run: {"test_loss": 1.0})
    return next((tmp_path / "all").rglob("planted"))


def test_verify_tells_two_folders_of_one_study_apart(planted):
    shutil.copytree(planted, planted.parent / "copy")
    said = CliRunner().invoke(app, ["verify", str(planted.parent), "--json"])
    assert sorted(row["study"] for row in json.loads(said.stdout)) == ["planted", "planted in copy"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, as Linux has it")
def test_a_full_disk_behind_a_pipe_is_told_without_a_traceback(planted):
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "symstudy", "query", str(planted.parent), "select 1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (said.returncode, "Traceback" in said.stderr) == (2, False)
    assert "No space left on device" in said.stderr
