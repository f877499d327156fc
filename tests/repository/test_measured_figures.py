"""Figures of speed in the documents are written by the benchmarks, with their day and code."""

import sys

import pytest


@pytest.fixture
def documented(monkeypatch, root):
    monkeypatch.syspath_prepend(root / "tests" / "benchmarks")
    import documented

    yield documented
    sys.modules.pop("documented", None)


@pytest.fixture
def page(documented, monkeypatch, tmp_path):
    """A document with a table and with words within a line, and nothing else."""
    path = tmp_path / "README.md"
    path.write_text(
        "# Speed\n\n<!-- measured: driver.packs -->\nold\n<!-- /measured -->\n\n"
        "- It is <!-- measured: driver.study -->old<!-- /measured --> fast.\n"
    )
    monkeypatch.setattr(documented, "ROOT", tmp_path)
    monkeypatch.setattr(documented, "documents", lambda: [path])
    monkeypatch.setattr(documented, "commit", lambda: "abc1234")
    monkeypatch.setenv(documented.WRITING, "1")
    (tmp_path / "symstudy" / "launch").mkdir(parents=True)
    (tmp_path / "symstudy" / "launch" / "a.py").write_text("one")
    return path


def test_every_place_names_a_benchmark_that_is_there(documented, root):
    found = [place for path in documented.documents() for place in documented.places(path)]
    assert {place.benchmark for place in found} == set(documented.MEASURED)
    for place in found:
        source = (root / "tests" / "benchmarks" / f"{place.benchmark}.py").read_text()
        assert f'"{place.name}"' in source, f"{place.document}: nothing tells {place.name}"


def test_no_figure_is_missing(documented):
    for path in documented.documents():
        text = path.read_text(encoding="utf-8")
        for place in documented.places(path):
            assert text[place.inner : place.stop].strip(), f"{path}: {place.name} is empty"


def test_a_table_is_written_with_its_day_machine_and_commit(documented, page):
    documented.tell("driver.packs", documented.table(["packs", "ms"], [["100", 8.5]]))
    text = page.read_text()
    assert "| packs | ms |\n| --- | ---: |\n| 100 | 8.5 |" in text
    assert f"*{documented.today()}, commit abc1234, " in text
    assert "old\n<" not in text
    assert "It is <!-- measured: driver.study -->old<" in text


def test_words_within_a_line_stay_within_it(documented, page):
    documented.tell("driver.study", "4 times as")
    line = page.read_text().splitlines()[-1]
    assert line.startswith("- It is <!-- measured: driver.study; ")
    assert line.endswith("-->4 times as<!-- /measured --> fast.")


def test_figures_are_old_once_the_code_has_changed(documented, page, tmp_path):
    assert documented.stale() == {"driver": ["README.md"]}
    documented.tell("driver.packs", "| a |")
    assert documented.stale() == {"driver": ["README.md"]}  # the words were not measured
    documented.tell("driver.study", "now")
    assert documented.stale() == {}
    (tmp_path / "symstudy" / "launch" / "a.py").write_text("two")
    assert documented.stale() == {"driver": ["README.md"]}


def test_figures_that_no_document_has_a_place_for_are_refused(documented, page):
    with pytest.raises(ValueError, match="measured: driver.other"):
        documented.tell("driver.other", "1")


def test_a_place_without_an_end_is_refused(documented, page):
    page.write_text("<!-- measured: driver.packs -->\n")
    with pytest.raises(ValueError, match="must be followed by"):
        documented.places(page)
