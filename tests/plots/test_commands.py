"""The program draws and fits, and the gallery has a figure of each kind."""

import json
import re
from pathlib import Path

import pytest

KINDS = ("scaling", "curves", "seeds", "grid", "heatmap", "importance", "parallel")
OF_GALLERY = ("scaling", "curves", "grid", "seeds", "heatmap", "importance", "parallel", "pairs")


@pytest.fixture
def told(monkeypatch, capsys):
    """Call the program in this process; return stdout, stderr and the exit status."""
    from symstudy.cli import main

    def call(*words):
        monkeypatch.setattr("sys.argv", ["symstudy", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return said.out, said.err, end.value.code

    return call


def place_of(store):
    """Return the folder of the one study of a store."""
    return store.folders[0].path


def test_a_kind_draws_into_the_results_and_prints_where(told, planted):
    place = place_of(planted())
    words = ("--x", "width", "--y", "test_loss", "--by", "gamma", "--format", "svg,png")
    said, _, status = told("plot", "scaling", place, *words)
    assert status == 0
    stem = f"{place}/figures/scaling-test_loss-width-gamma"
    assert said.split() == [f"{stem}.svg", f"{stem}.png"]
    assert json.loads(Path(f"{stem}.json").read_text())["kind"] == "scaling"


def test_a_mean_over_another_axis_is_an_error_of_the_user(told, planted):
    _, error, status = told(
        "plot", "scaling", place_of(planted()), "--x", "width", "--y", "test_loss"
    )
    assert status == 2
    assert "--by gamma" in error


def test_fit_prints_unrounded_numbers_and_notes_beside(told, planted):
    place = place_of(planted())
    words = ("--x", "width", "--y", "test_loss", "--by", "gamma")
    said, _, status = told("fit", place, *words, "--json")
    (first, *_) = json.loads(said)
    assert status == 0
    assert first["group"] == {"gamma": 0.0}
    assert first["parameters"]["exponent"] == pytest.approx(-0.5, abs=0.02)
    assert first["parameters"]["exponent"] != round(first["parameters"]["exponent"], 4)
    assert set(first["bic"]) == {"power", "power+floor"}
    assert first["held_out"][0]["x"] == 64
    table, notes, _ = told("fit", place, *words)
    assert table.splitlines()[0].split() == ["gamma", "form", "parameter", "value", "low", "high"]
    assert "1 of 1 starts agree; converged" in notes


def test_without_a_kind_and_claims_the_default_figures_are_drawn(told, planted):
    place = place_of(planted(**{"model.width": [8, 16]}))
    said, _, status = told("plot", place)
    assert status == 0
    assert [line.rsplit("/", 1)[-1] for line in said.split()] == [
        "default-test_loss.svg",
        "default-mean_rank.svg",
    ]
    page, _, status = told("report", place)
    html = Path(page.strip()).read_text()
    assert status == 0
    assert html.count("data:image/svg+xml") == 2
    assert 'download="default-test_loss.csv"' in html


def test_every_figure_of_the_gallery_is_there(root):
    page = (root / "docs/gallery.md").read_text()
    images = re.findall(r"\]\((images/[^)]*)\)", page)
    assert images == [f"images/plot_{kind}.svg" for kind in OF_GALLERY]
    assert all((root / "docs" / image).is_file() for image in images)
