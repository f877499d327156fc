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
from symstudy.store import open_store
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


LOST = {
    "w6 its rows": ("runs/*",),
    "w6 its rows and what it says of itself": ("runs/*", "study.json", "study.copy.json"),
    "w6 its rows and its plan": ("runs/*", "plan/*"),
    "w6 all of its tables": tuple(
        f"{table}/*" for table in ("runs", "plan", "planned_cells", "packs", "history", "layers")
    ),
}


@pytest.mark.parametrize("lost", LOST)
def test_w6_a_renamed_study_that_has_lost_something_is_not_proven(planted, lost):
    moved = planted.rename(planted.parent / "backup")
    for pattern in LOST[lost]:
        for path in moved.glob(pattern):
            path.unlink()
    said = CliRunner().invoke(app, ["verify", str(moved.parent), "--json"])
    (row,) = json.loads(said.stdout)
    assert (said.exit_code, row["proven"]) == (1, False)


def test_w6_a_study_that_names_another_one_has_the_rows_that_it_has(planted):
    said = json.loads((planted / "study.json").read_text()) | {"name": "other"}
    said.pop("checksum", None)
    (planted / "study.json").write_text(json.dumps(said))
    row = CliRunner().invoke(app, ["verify", str(planted.parent), "--json"])
    assert [each["planned"] for each in json.loads(row.stdout)] == [2]


@pytest.mark.parametrize("how", ["twice", "its parent too", "by a link", "a link inside"])
def test_w6_rows_of_one_folder_under_two_names_count_once(planted, tmp_path, how):
    (tmp_path / "link").symlink_to(planted.parent)
    if how == "a link inside":
        (planted.parent / "sym").symlink_to(planted)
    places = {
        "twice": (planted.parent, planted.parent),
        "its parent too": (planted.parent, planted),
        "by a link": (planted.parent, tmp_path / "link"),
        "a link inside": (planted.parent,),
    }[how]
    rows = open_store(*map(str, places)).sql("select count(*), count(distinct run_id) from runs")
    assert rows.rows == [(2, 2)]


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
