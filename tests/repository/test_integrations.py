"""docs/how-to/integrations.md, line by line as it stands there."""

import re
import shlex
import sys
from typing import Any

import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.study import load_study, make_study

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SEARCH: dict[str, Any] = {
    "schema": 1,
    "name": "find_gamma",
    "model": {"kind": "fcn", "width": 4},
    "data": {"kind": "identity", "input_dim": 2},
    "train": {"lr": 0.01, "steps": 5},
    "search": {
        "method": "random",
        "objective": "test_loss",
        "trials": 3,
        "space": {"train.gamma": {"log": [1e-3, 1.0]}},
    },
}


@pytest.fixture(scope="module")
def blocks(request):
    """The fenced blocks of the page: language and text."""
    path = request.config.rootpath / "docs" / "how-to" / "integrations.md"
    return FENCE.findall(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def place(tmp_path_factory, request):
    """A folder with results of the smoke study and of a search."""
    place = tmp_path_factory.mktemp("project")
    for study in (
        load_study(request.config.rootpath / "studies" / "smoke.toml"),
        make_study(SEARCH),
    ):
        run_study(study, str(place / "results"), InlineLauncher(device="cpu"))
    return place


def test_every_line_for_other_readers_works(blocks, place, monkeypatch):
    from symstudy.cli.app import app

    monkeypatch.chdir(place)
    seen: dict[str, Any] = {}
    frames = 0
    for language, block in blocks:
        if language == "python":
            names: dict[str, Any] = {}
            exec(compile(block, "integrations.md", "exec"), names)
            seen.update(names)
            frames += sum(word in block for word in ("pandas.", "polars.", "duckdb.", "pyarrow."))
        elif "symstudy query" in block:
            for line in block.splitlines():
                monkeypatch.setattr(sys, "argv", shlex.split(line))
                app(standalone_mode=False)
    assert frames >= 6
    # 12 runs of the smoke study and 3 of the search.
    assert len(seen["frame"]) == seen["lazy"].collect().height == 15
    assert seen["count"] == [(15,)]
    assert len(seen["runs"]) == 12
    assert seen["table"].num_rows > 0
    assert set(seen["curves"].columns) >= {"run_id", "step", "test_loss"}
    assert seen["layers"].num_rows > 0
    assert seen["storage"].get_all_studies()[0].study_name.startswith("find_gamma")


def test_the_trackers_of_the_page_are_those_that_there_are(request, blocks):
    from symstudy.launch.tracking.trackers import TRACKERS

    path = request.config.rootpath / "docs" / "how-to" / "integrations.md"
    rows = re.findall(r"^\| `([\w.:]+)` \|", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) == {*TRACKERS, "package.module:Class"}
    named = re.findall(r"--log (\w+)", "".join(block for _, block in blocks))
    assert set(named) == set(TRACKERS)
