import json
import math
import shlex
from base64 import b64decode

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.explore.packed import Chosen, Rows, Some, pack_rows
from symstudy.explore.panels.base import Source, is_log
from symstudy.explore.panels.histogram import Bins, bin_sql, log_bins
from symstudy.explore.panels.lines import form_of

HELD = {"width": {"values": [8]}}


def test_a_histogram_ignores_its_own_filter_and_obeys_the_others(panel):
    def counts(filters):
        return panel("histogram", filters, column="width")["rows"]

    assert counts({}) == [[8, 6], [16, 6], [32, 4]]
    assert counts(HELD) == counts({})
    assert counts({"gamma": {"values": [0.1]}, **HELD}) == [[8, 3], [16, 3], [32, 1]]


def test_what_no_bin_holds_is_counted_beside_the_histogram(panel):
    answer = panel("histogram", column="test_loss")
    assert answer["more"]["aside"] == [["NaN or infinite", 2], ["no value", 1]]
    assert sum(row[2] for row in answer["rows"]) == 13


def test_values_of_0_and_below_keep_a_place_beside_logarithmic_bins(client):
    bins = log_bins("x", 0.001, 1000.0, -1.0, 6)
    values = "(select unnest([0.0, -1.0, 0.001, 0.5, 1000.0]) as x)"
    query = f"select {bins.sql} from {values}"
    (answer,) = client.post("/sql", json={"queries": [query]}).json()["answers"]
    assert [row[0] for row in answer["rows"]] == [-1, -1, 0, 2, 5]


@pytest.mark.parametrize("low", [1.0, -1.0])
def test_bins_have_a_place_or_none_for_values_of_studies_that_are_not_looked_at(client, low):
    bins = {
        "log": log_bins("x", 1.0, 1000.0, low, 3).sql,
        "linear": bin_sql("isfinite(x)", "(x - 1) / 333", 3),
    }
    odd = "(select unnest([0, -5, 1e-300, 1e300, 'inf', 'nan', null, 50.0]::double[]) as x)"
    queries = [f"select {each} from {odd}" for each in bins.values()]
    logarithmic, linear = (
        [row[0] for row in answer["rows"]]
        for answer in client.post("/sql", json={"queries": queries}).json()["answers"]
    )
    aside = None if low > 0 else -1
    assert logarithmic[:4] == [aside, aside, 0, 2]
    assert logarithmic[4:6] == [None, None]
    assert logarithmic[7] == 1
    assert linear == [0, 0, 0, 2, None, None, None, 0]


def test_the_grid_counts_what_failed_and_what_is_missing(panel):
    answer = panel("grid", x="width", y="gamma", measure="test_loss")
    cells = {tuple(row[:2]): row[2:] for row in answer["rows"]}
    assert cells[8, 0.1] == [pytest.approx(2.11), 3, 3, 0, 0, 0, 3]
    assert cells[16, 0.1][1:] == [2, 2, 0, 1, 0, 2]
    assert cells[32, 0.0][1:] == [1, 3, 0, 0, 0, 1]
    assert cells[32, 0.1][-2] == 2
    assert "2 runs whose test loss is NaN or infinite" in " ".join(answer["notes"])


def test_axes_and_colours_are_logarithmic_for_positive_values_that_are_far_apart(panel):
    asked = {"lines": {"x": "width", "by": "gamma"}, "grid": {"x": "width", "y": "gamma"}}
    for name, axes in asked.items():
        for measure, expected in (("train_loss", False), ("test_loss", False)):
            assert panel(name, measure=measure, **axes)["more"]["is_log"] is expected
    assert is_log(np.array([0.1, 10.0])) is True
    for values in ([0.1, 1.0], [-1.0, 10.0], [0.0, 10.0], []):
        assert is_log(np.array(values)) is False
    zeros = panel("lines", x="gamma", by="width", measure="test_loss")["more"]
    assert zeros["x_form"] == "linear"


@pytest.mark.parametrize(
    ("values", "form"),
    [([1, 2, 4, 8], "log"), ([0.0, 1e-3, 1e-2, 1e-1], "categories"), ([0, 1, 2, 3], "linear")],
)
def test_an_axis_goes_by_ratios_where_values_do_and_0_keeps_a_place(values, form):
    assert form_of("number", values) == form


def test_many_rows_are_packed_as_they_are_listed():
    rows = Rows(
        Chosen(np.array([1, 0, 1]), ("a", None)),
        Some(np.array([0.5, np.nan, 2.0]), np.array([True, False, True])),
        Some(np.array([1, 300, 0]), np.ones(3, bool)),
        Some(np.array([1.0, np.inf, 0.0]), np.ones(3, bool)),
    )
    assert list(rows) == [(None, 0.5, 1, 1.0), ("a", None, 300, math.inf), (None, 2.0, 0, 0.0)]
    text, some, whole, infinite = pack_rows(rows)
    assert [text["values"][at] for at in b64decode(text["at"])] == [None, "a", None]
    assert some["none"] == [1]
    assert np.frombuffer(b64decode(some["numbers"])).tolist() == [0.5, 0.0, 2.0]
    assert np.frombuffer(b64decode(whole["whole"]), f"<u{whole['size']}").tolist() == [1, 300, 0]
    assert infinite == {"list": [1.0, math.inf, 0.0]}


def test_an_interval_is_students_t_over_seeds(panel):
    answer = panel("lines", HELD, x="width", by="gamma", measure="test_loss")
    _, _, mean, low, high, seeds, runs = answer["rows"][0]
    losses = [2.0, 2.01, 2.02]
    expected = stats.t.interval(0.95, 2, loc=2.01, scale=stats.sem(losses))
    assert (mean, low, high) == pytest.approx((2.01, *expected))
    assert (seeds, runs) == (3, 3)


def test_a_mean_over_another_axis_is_told(panel):
    (note, *_) = panel("lines", x="width", measure="test_loss")["notes"]
    assert "Means are taken over weight decay gamma (2 values)" in note
    held = panel("lines", {"gamma": {"values": [0.1]}}, x="width", measure="test_loss")
    assert not [note for note in held["notes"] if "Means are taken over" in note]


def test_means_of_different_settings_are_told(panel):
    (note,) = [
        note
        for note in panel("lines", x="width", measure="test_loss")["notes"]
        if "settings" in note
    ]
    assert "1 to 2 runs a seed" in note
    held = panel("lines", x="width", by="gamma", measure="test_loss")["notes"]
    assert not [note for note in held if "settings" in note]


def test_one_seed_has_no_interval(panel):
    answer = panel("lines", {"seed": {"values": [1]}}, x="width", by="gamma", measure="test_loss")
    assert {(row[3], row[4], row[5]) for row in answer["rows"]} == {(None, None, 1)}


def test_a_fitted_law_finds_the_planted_exponent(panel):
    filters = {"gamma": {"values": [0.0]}, "seed": {"values": [0]}, "width": {"values": [8, 16]}}
    answer = panel("lines", filters, x="width", measure="test_loss", fit="power")
    (law,) = answer["more"]["laws"]
    assert law["exponent"] == pytest.approx(-1.0)
    assert law["text"] == "16 x^-1"
    assert law["interval"] == [None, None]


@pytest.mark.parametrize("form", ["power", "power+floor"])
def test_a_law_of_seeds_is_that_of_symstudy_fit_with_its_interval(panel, planted, form):
    filters = {"gamma": {"values": [0.1]}, "seed": {"values": [0, 1]}}
    (law,) = panel("lines", filters, x="width", measure="test_loss", fit=form)["more"]["laws"]
    where = "gamma = 0.1 and seed < 2"
    words = ["--x", "width", "--y", "test_loss", "--where", where, "--form", form, "--json"]
    answer = CliRunner().invoke(app, ["fit", str(planted), *words])
    assert answer.exit_code == 0, answer.exception
    (told,) = json.loads(answer.stdout)
    assert law["exponent"] == told["parameters"]["exponent"]
    # Three places leave a law of three parameters without an interval.
    ends = told["intervals"]["exponent"] or {"low": None, "high": None}
    assert law["interval"] == [ends["low"], ends["high"]]
    assert law["interval_rests_on"] == told["intervals_from"]
    assert (law["interval_rests_on"] == "seeds") == (form == "power")


def test_two_columns_leave_out_what_has_no_place_and_say_so(panel):
    answer = panel("scatter", x="train_loss", y="test_loss")
    assert (len(answer["rows"]), answer["more"]["form"]) == (13, "points")
    assert answer["notes"] == ["Left out: 3 runs without a finite value of both."]


def test_many_runs_are_counted_in_fields_and_none_is_left_out(panel, monkeypatch):
    monkeypatch.setattr("symstudy.explore.panels.scatter.MOST_POINTS", 3)
    answer = panel("scatter", x="train_loss", y="test_loss")
    assert answer["more"]["form"] == "density"
    assert sum(row[2] for row in answer["rows"]) == 13


def test_values_at_0_and_below_are_never_drawn_as_small_positive_ones():
    bins = Bins((1.0, 2.0), is_log=True, sql=log_bins("x", 1.0, 2.0, -1.0, 1).sql)
    assert bins.has_below
    assert not Bins((1.0, 2.0), is_log=True, sql=log_bins("x", 1.0, 2.0, 1.0, 1).sql).has_below


def test_many_cells_become_bands_that_hold_every_run(panel, monkeypatch):
    lines = panel("parallel", axes=["width", "gamma"], measure="test_loss")
    assert sum(row[-1] for row in lines["rows"]) == 13
    monkeypatch.setattr("symstudy.explore.panels.parallel.MOST_LINES", 3)
    bands = panel("parallel", axes=["width", "gamma"], measure="test_loss")
    assert bands["more"]["form"] == "bands"
    assert [sum(row[3] for row in bands["rows"] if row[0] == axis) for axis in (0, 1)] == [13, 13]


def test_endings_count_the_missing_and_say_what_to_type(panel, client):
    answer = panel("endings")
    counts = {row[1]: row[3] for row in answer["rows"]}
    assert counts == {"done": 15, "diverged": 1, "missing": 2}
    typed = answer["more"]["type"][1]
    assert typed.startswith("symstudy retry RESULTS --where ")
    (condition,) = shlex.split(typed)[4:]
    query = f"select count(*) from runs where {condition}"
    (found,) = client.post("/sql", json={"queries": [query]}).json()["answers"]
    assert found["rows"] == [[1]]


def test_a_page_of_the_table_is_bounded_and_sorted(panel):
    answer = panel("table", columns=["test_loss"], order="test_loss", falls=True, count=10**6)
    assert answer["more"]["total"] == 16
    assert answer["rows"][2][4] == pytest.approx(2.12)
    assert panel("table", start=10**9)["rows"] == []


def test_filters_of_every_kind_hold(panel):
    def total(filters, **more):
        return panel("table", filters, **more)["more"]["total"]

    assert total({"test_loss": {"low": 2.0, "high": 2.05}}) == 3
    assert total({"test_loss": {"low": 2.0, "high": None}}) == 7
    assert total({"test_loss": {"values": ["NaN"]}}) == 1
    assert total({"outcome": {"values": ["done"]}, "test_loss": {"values": [None]}}) == 0
    assert total({"test_loss": {"values": [None]}}) == 1
    assert total({}, **{"and": HELD}) == 6


@pytest.mark.parametrize(
    "filters",
    [
        {"nonsense": {"values": [1]}},
        {"width": {"values": ["8; drop table runs"]}},
        {"width": {"low": "0) or (1=1"}},
        {"width": 8},
        [],
    ],
)
def test_filters_of_another_form_are_refused(client, filters):
    answer = client.post("/panels", json={"filters": filters, "want": [{"panel": "endings"}]})
    assert answer.status_code == 400, answer.text


def test_names_are_values_and_never_sql(panel):
    hostile = "'; drop table runs; --"
    assert panel("table", {"study": {"values": [hostile]}})["more"]["total"] == 0
    assert (
        "must be one of runs" in panel("lines", x='w" from runs --', measure="test_loss")["error"]
    )
    assert panel("table")["more"]["total"] == 16


VIEWS = {
    "all": {},
    "some widths": {"width": {"values": [8, 32]}},
    "a range": {"test_loss": {"low": 1.0, "high": 2.05}},
    "what failed too": {"outcome": {"values": ["done", "diverged"]}, "seed": {"values": [1, 2]}},
    "no run": {"width": {"values": [7]}},
}


def near(rows):
    """Rows by their values, with sums as near as rounding leaves them."""
    return [
        [pytest.approx(value, rel=1e-12) if isinstance(value, float) else value for value in row]
        for row in rows
    ]


@pytest.mark.parametrize("filters", VIEWS.values(), ids=VIEWS)
def test_what_a_panel_shows_is_what_its_query_gives_on_all_tables(
    panel, client, monkeypatch, filters
):
    def both(name, **asked):
        answer = panel(name, filters, **asked)
        (found,) = client.post("/sql", json={"queries": [answer["sql"]]}).json()["answers"]
        assert not found["error"]
        return answer["rows"], found["rows"]

    shown, found = both("histogram", column="width")
    assert [row for row in shown if row[1]] == found
    shown, found = both("histogram", column="test_loss")
    in_bins = [row for row in found if row[0] >= 0]
    assert [[at, row[2]] for at, row in enumerate(shown) if row[2]] == in_bins
    shown, found = both("grid", x="width", y="gamma", measure="test_loss")
    assert near([[*row[:7], row[8]] for row in shown if sum(row[4:7])]) == found
    for by in ("gamma", None):
        shown, found = both("lines", x="width", by=by, measure="test_loss")
        assert near([[*row[:3], *row[5:]] for row in shown]) == [
            [*row[:3], *row[4:]] for row in found
        ]
    shown, found = both("endings")
    assert [row for row in shown if row[1] != "missing"] == found
    monkeypatch.setattr("symstudy.explore.panels.scatter.MOST_POINTS", -1)
    monkeypatch.setattr("symstudy.explore.panels.parallel.MOST_LINES", 0)
    shown, found = both("scatter", x="width", y="test_loss")
    assert shown == found
    shown, found = both("parallel", axes=["width", "gamma"], measure="test_loss")
    assert shown == found


def test_where_values_are_too_many_to_be_coded_sql_gives_the_same(panel, session, monkeypatch):
    wanted = {
        "histogram": {"column": "width"},
        "grid": {"x": "width", "y": "gamma", "measure": "test_loss"},
        "lines": {"x": "width", "by": "gamma", "measure": "test_loss"},
        "endings": {},
    }
    coded = {name: panel(name, **asked) for name, asked in wanted.items()}
    monkeypatch.setattr("symstudy.store.tables.coded.MOST_VALUES", 1)
    monkeypatch.setattr("symstudy.store.tables.coded.MOST_PLACES", 1)
    monkeypatch.setattr(session, "source", Source.of(session.runs))
    for name, asked in wanted.items():
        answer = panel(name, **asked)
        assert near(coded[name]["rows"]) == answer["rows"]
        assert coded[name]["notes"] == answer["notes"]
