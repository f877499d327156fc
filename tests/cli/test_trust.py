"""Faults R1, R4 and R9: the results, and the folder that they lie in, are somebody else's."""

import json
import shutil

import pytest

PLANTED = "import os, pathlib\npathlib.Path(os.environ['PLANTED']).write_text('ran')\n"
"""Code that leaves a trace if it is run."""
CODE = {
    "pyproject.toml": '[tool.symstudy]\nanalyses = "theirs"\n',
    "theirs/__init__.py": PLANTED,
    "rich.py": PLANTED,
    "seaborn.py": PLANTED,
    "sitecustomize.py": PLANTED,
    "hooked.py": f"{PLANTED}\ndef main(figure):\n    pass\n",
    "matplotlibrc": "figure.hooks: hooked:main\nbackend: module://hooked\n",
    "theirs.egg-info/PKG-INFO": "Name: theirs\nVersion: 1\n",
    "theirs.egg-info/entry_points.txt": "[symstudy.analyses]\ntheirs = theirs\n",
}


@pytest.fixture
def shared(results, tmp_path):
    """A folder of somebody else with results, and with code that waits to be run."""
    place = tmp_path / "shared"
    shutil.copytree(results, place / "results")
    for name, text in CODE.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    place.chmod(0o777)
    return place


def test_r4_nothing_beside_the_results_is_run(process, root, shared, tmp_path, environment):
    trace = tmp_path / "trace"
    said = process("analyze", cwd=shared, env=environment | {"PLANTED": str(trace)})
    assert said.returncode == 2
    assert "claims are code, so a project that is not named must be your own" in said.stderr
    assert "everybody may write to it" in said.stderr
    named = process(
        *("report", "--project", root), cwd=shared, env=environment | {"PLANTED": str(trace)}
    )
    assert named.returncode == 0, named.stderr
    assert f"runs the claims of the project {root}" in named.stderr
    assert not trace.exists()


def test_r1_no_command_reads_a_private_file_that_results_link_to(told_in, results, tmp_path, root):
    place = tmp_path / "results"
    shutil.copytree(results, place)
    (study,) = (path for path in place.iterdir() if path.is_dir())
    (tmp_path / "id_rsa").write_text("private")
    (study / "figures").mkdir(exist_ok=True)
    (study / "figures" / "c.csv").symlink_to(tmp_path / "id_rsa")
    for command in (
        *(("status",), ("verify",), ("query", place, "from runs"), ("runs",), ("compact",)),
        *(("retry",), ("cancel",), ("analyze",), ("plot",), ("report",)),
    ):
        named = ("--project", root) if command[0] in {"analyze", "plot", "report"} else ()
        said, status = told_in(tmp_path, *command, *named)
        assert status == 2, command
        assert "c.csv' is a symbolic link, which is not followed" in said
    assert not (place / "report.html").exists()


@pytest.mark.parametrize("what", ["lost", "changed"])
def test_r6_verify_tells_that_what_a_launch_kept_is_lost_or_changed(
    told_in, results, tmp_path, what
):
    shutil.copytree(results, tmp_path / "results")
    said, before = told_in(tmp_path, "verify")
    assert "of the texts that say" not in said
    (record,) = (tmp_path / "results").glob("*/study.json")
    (launch,) = json.loads(record.read_text())["launches"]
    text = record.parent / "provenance" / launch["packages"]
    text.unlink() if what == "lost" else text.write_text("numpy==9.9\n")
    said, status = told_in(tmp_path, "verify")
    assert status == before, said
    assert "warning: 1 of the texts that say what its launches ran are lost or have changed" in said
    assert "packages.txt" in said
