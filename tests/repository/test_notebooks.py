"""The notebooks of the documents run from top to bottom, as a reader would run them.

With SYMSTUDY_REFRESH_GOLDEN=1 (`make golden`) what they show is written back into them.
"""

import os
import re
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks run with the group `docs`")
nbclient = pytest.importorskip("nbclient", reason="notebooks run with the group `docs`")

NOTEBOOKS = sorted(Path(__file__).parents[2].glob("docs/tutorials/*.ipynb"))


def shown(notebook):
    """Return the texts and pictures of a notebook's cells, by kind."""
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    return [kind for each in outputs for kind in each.get("data", {})]


def printed(notebook):
    """Return what the cells of a notebook print."""
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    return "".join(each.get("text", "") for each in outputs)


def without_noise(notebook):
    """Remove what differs from run to run and says nothing."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return notebook


QUICK = "first_study"
"""The notebook that runs with every change; the others train for half a minute each."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem == QUICK else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
)
@pytest.mark.timeout(300)
def test_a_notebook_runs_and_shows_tables_and_pictures(path, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=200, resources=folder).execute()
    assert {"text/html", "image/svg+xml"} <= set(shown(notebook))
    assert not re.search(r"not found|, but (got|raised)", printed(notebook))
    if os.environ.get("SYMSTUDY_REFRESH_GOLDEN"):
        text = nbformat.writes(without_noise(notebook)).replace(str(tmp_path), "/home/you")
        path.write_text(text + "\n", "utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_committed_with_what_it_shows(path):
    notebook = nbformat.read(path, as_version=4)
    assert {"text/html", "image/svg+xml"} <= set(shown(notebook))
    kinds = [each.output_type for cell in notebook.cells for each in cell.get("outputs", ())]
    assert "error" not in kinds
