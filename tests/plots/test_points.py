"""Means over seeds: never over other axes in silence, and what is left out is counted."""

import duckdb
import pytest

from symstudy.errors import QueryError, UnknownNameError
from symstudy.plots.points import Question, read_points, select


def points_of(store, **words):
    """Return the points of a question."""
    return read_points(store, select(store, Question(**words)))


def test_points_are_means_over_seeds_with_t_intervals(planted):
    store = planted()
    points = points_of(store, x="width", y="test_loss", by=("gamma",))
    assert len(points.frame) == 4 * 3
    assert set(points.frame["seeds"]) == {3}
    row = points.frame.iloc[0]
    (mean, low, high) = store.sql(
        "select test_loss, test_loss_low, test_loss_high from cells where width = 8 and gamma = 0"
    ).rows[0]
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((mean, low, high))


def test_a_mean_over_another_axis_is_refused_with_what_to_type(planted):
    with pytest.raises(QueryError, match="seeds alone") as error:
        points_of(planted(), x="width", y="test_loss")
    assert "gamma (3 values)" in str(error.value)
    assert "--by gamma" in str(error.value)
    assert "--average gamma" in str(error.value)


def test_a_mean_over_another_axis_can_be_asked_for_and_has_a_value_a_seed(planted):
    points = points_of(planted(), x="width", y="test_loss", average=("gamma",))
    assert set(points.frame["seeds"]) == {3}
    assert set(points.frame["runs"]) == {9}


def test_seeds_that_have_different_cells_are_no_replicates(planted):
    store = planted()
    with pytest.raises(QueryError, match="gamma"):
        points_of(store, x="width", y="test_loss", where="(gamma = 0) = (seed = 1)")


def test_a_condition_on_one_value_makes_the_rest_seeds(planted):
    points = points_of(planted(), x="train.gamma", y="test_loss", where="width = 8")
    assert points.frame["place"].tolist() == [0.0, 0.001, 0.1]


def test_columns_of_layers_and_history_are_found_where_they_are(planted):
    store = planted()
    layers = points_of(store, x="width", y="rank", by=("gamma",))
    assert (layers.selection.view, layers.selection.is_last_step) == ("layers", True)
    assert layers.frame["mean"].tolist() == [4, 8, 16, 32] * 3
    curves = points_of(store, x="step", y="test_loss", by=("width", "gamma"))
    assert (curves.selection.view, len(curves.frame)) == ("history", 4 * 12)


def test_layers_are_an_axis_as_any_other(planted):
    def measures(run):
        steps = int(run.cell.train.steps)
        return {"rank": 2, "layers": [{"step": steps, "layer": 2, "rank": 1}]}

    store = planted(measures)
    with pytest.raises(QueryError, match=r"also layer \(2 values\) vary"):
        points_of(store, x="width", y="rank", by=("gamma",))
    assert set(points_of(store, x="layer", y="rank", by=("width", "gamma")).frame["place"]) == {
        1,
        2,
    }


def test_an_unknown_column_gets_the_nearest_names_and_the_command(planted):
    with pytest.raises(UnknownNameError, match="Did you mean 'width'") as error:
        points_of(planted(), x="widht", y="test_loss")
    assert 'symstudy query RESULTS "from (describe runs)"' in str(error.value)
    with pytest.raises(QueryError, match="numbers, but 'engine' holds varchar"):
        points_of(planted(), x="width", y="engine")


def test_what_is_left_out_is_counted_by_why(planted):
    outcomes: dict[int, dict[str, object]] = {
        1: {"outcome": "diverged"},
        2: {"test_loss": float("nan")},
    }

    def measures(run):
        odd: dict[str, object] = outcomes.get(run.seed, {}) if run.cell.model.width == 8 else {}
        return {"test_loss": 1.0, **odd}

    counts = points_of(planted(measures), x="width", y="test_loss", by=("gamma",)).left_out.counts
    assert counts == {"diverged": 3, "NaN or infinite": 3}


def test_runs_that_are_planned_only_are_missing(planted, study_of):
    from symstudy.store.tables.writer import write_plan

    store = planted(**{"model.width": [8, 16]})
    more = study_of(sweep={"model.width": [128], "train.gamma": [0.0], "seed": 2})
    write_plan(store.folders[0], "small", "later", more.runs())
    store.connect()
    whole = points_of(store, x="width", y="test_loss", by=("gamma",))
    assert whole.left_out.counts == {"missing": 2}
    assert points_of(store, x="width", y="test_loss", where="gamma = 0.1").left_out.words == ""
    some = points_of(store, x="width", y="test_loss", where="gamma = 0 and test_loss > 0")
    assert some.left_out.words == "2 missing in the whole study"


def test_all_values_nan_is_an_error_that_counts_them(planted):
    store = planted(lambda run: {"test_loss": float("nan")})
    with pytest.raises(QueryError, match="36 NaN or infinite"):
        points_of(store, x="width", y="test_loss", by=("gamma",))


class MillionRuns:
    """A source of 1,000,000 runs that keeps how many rows each answer had."""

    swept = ("width", "gamma")
    hyperparameters = metrics = ()
    fingerprint = "of a million"

    def __init__(self):
        self.connection = duckdb.connect(":memory:")
        self.queries, self.fetched = [], []
        self.connection.execute(
            "create table runs as select 'big' as study, 'r' || i as run_id, "
            "'c' || i // 10000 as cell_id, i % 10000 as seed, 'done' as outcome, "
            "2 ** (i // 10000 % 10) as width, i // 100000 as gamma, "
            "(1 + (i % 7) / 1000) * 2 ** -(i // 10000 % 10) as test_loss from range(1000000) _(i)"
        )
        for name in ("missing", "history", "layers", "count_curve"):
            self.connection.execute(f"create view {name} as from runs limit 0")

    def df(self, query, parameters=()):
        frame = self.connection.sql(query, params=parameters or None).df()
        self.fetched.append(len(frame))
        return frame

    def quoted(self, name):
        return f'"{name}"'

    def column_of(self, key):
        return None


def test_a_million_runs_are_aggregated_in_the_database():
    from symstudy.plots.laws import fit_lines

    source = MillionRuns()
    points = points_of(source, x="width", y="test_loss", average=("gamma",))
    laws = fit_lines(source, points, "power", 1)
    assert points.frame["runs"].sum() == 1_000_000
    assert max(source.fetched) == 10 * 200
    assert laws[0].exponent == pytest.approx(-1.0, abs=1e-3)
    assert laws[0].fitted.seeds == 200


def test_a_mean_over_one_axis_on_purpose_is_not_one_over_another(planted):
    store = planted(**{"train.lr": [0.01, 0.02]})
    with pytest.raises(QueryError, match=r"lr \(2 values\)") as error:
        points_of(store, x="width", y="test_loss", average=("gamma",))
    assert "gamma (" not in str(error.value)
    both = points_of(store, x="width", y="test_loss", average=("gamma", "train.lr"))
    assert set(both.frame["runs"]) == {18}
