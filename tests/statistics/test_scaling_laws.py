"""Laws are found from what they were planted with; their intervals hold the truth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from symstudy.statistics import fits
from symstudy.statistics.intervals import student_interval
from symstudy.statistics.scaling_forms import FORMS, fit_law
from symstudy.statistics.scaling_laws import compare_laws, fit_scaling, jackknife, place_means
from symstudy.streams import Stream

X = np.geomspace(8, 1024, 8)


def seeds_of(law, seeds, noise, stream="seeds", places=X):
    """Return values of seeds about a law, with lognormal noise."""
    draws = np.exp(noise * Stream(3, stream).normal(seeds * len(places)))
    values = (law(places) * draws.reshape(seeds, -1)).ravel()
    return pd.DataFrame(
        {
            "place": np.tile(places, seeds),
            "unit": np.repeat(np.arange(seeds), len(places)),
            "count": 1,
            "value": values,
        }
    )


@settings(deadline=None, max_examples=10)
@given(st.floats(-2, 2), st.floats(0.01, 100))
def test_a_power_law_is_found_and_predicts_what_was_held_out(exponent, amplitude):
    found = fit_scaling(seeds_of(lambda x: amplitude * x**exponent, 2, 0.0), "power", hold_out=2)
    assert found.law.parameters["exponent"] == pytest.approx(exponent, abs=1e-8)
    assert found.law.parameters["amplitude"] == pytest.approx(amplitude, rel=1e-6)
    assert found.held_out == tuple(X[-2:])
    assert found.errors == pytest.approx((0, 0), abs=1e-7)


def test_a_floor_is_found_by_the_form_that_has_one_and_by_the_criterion():
    law = fit_law("power+floor", X, 0.3 + 2.0 * X**-0.7)
    assert [*law.parameters.values()] == pytest.approx([-0.7, 2.0, 0.3], rel=1e-3)
    assert law.has_converged
    assert law.agreed > law.starts / 2
    noisy = seeds_of(lambda x: 0.3 + 2.0 * x**-0.7, 5, 0.005)
    assert fit_scaling(noisy, "power").rivals[0].form.name == "power+floor"


def test_a_break_is_found_where_it_is():
    y = np.where(X < 100, (X / 100) ** -0.2, (X / 100) ** -1.0)
    law = fit_law("broken", X, y)
    assert law.parameters["break_at"] == pytest.approx(100, rel=1e-3)
    assert law.exponent == pytest.approx(-0.2, abs=1e-4)
    assert law.parameters["exponent_after"] == pytest.approx(-1.0, abs=1e-4)
    assert law.predict(X) == pytest.approx(y, rel=1e-4)
    assert compare_laws(X, y)[0].form.name == "broken"


def test_of_a_plain_power_law_no_form_with_more_parameters_is_better():
    found = fit_scaling(seeds_of(lambda x: x**-0.5, 5, 0.01), "power")
    assert found.rivals[0].form.name == "power"
    assert len(found.rivals) == len(FORMS)


def test_the_interval_of_a_power_law_holds_the_exponent_as_often_as_it_says():
    hits = 0
    for draw in range(150):
        points = seeds_of(lambda x: x**-0.5, 4, 0.05, f"draw {draw}", X[:4])
        means = place_means(points)
        law = fit_law("power", means.index, means)
        interval = jackknife(points, law)[0]["exponent"]
        hits += interval.low <= -0.5 <= interval.high
    assert 0.9 <= hits / 150 <= 0.99


def test_leaving_out_a_seed_of_a_slope_is_the_t_interval_of_the_slopes_of_seeds():
    points = seeds_of(lambda x: x**-0.5, 5, 1e-5)
    found = fit_scaling(points, "power")
    table = points.pivot_table(index="unit", columns="place", values="value")
    slopes = student_interval(fits.seed_slopes(table))
    assert found.source == "seeds"
    assert found.intervals["exponent"][:2] == pytest.approx(slopes[:2], abs=1e-7)


def test_one_seed_has_an_interval_by_residuals_and_says_so():
    found = fit_scaling(seeds_of(lambda x: x**-0.5, 1, 0.05), "power")
    slope, error = np.polyfit(np.log(X), np.log(found.law.predict(X)), 1)[0], found.intervals
    assert found.source == "residuals"
    assert error["exponent"].low < slope < error["exponent"].high
    two = fit_scaling(seeds_of(lambda x: x**-0.5, 1, 0.05, places=X[:2]), "power")
    assert (two.source, two.intervals["exponent"].high) == ("nothing", np.inf)
    assert two.predicted is None


@pytest.mark.parametrize(("form", "count"), [("power", 1), ("power+floor", 2), ("broken", 3)])
def test_too_few_places_are_refused(form, count):
    with pytest.raises(ValueError, match=r"different positive places"):
        fit_law(form, X[:count], X[:count])


def test_a_seed_that_lacks_a_place_still_counts():
    points = seeds_of(lambda x: x**-0.5, 4, 0.02).iloc[:-3]
    found = fit_scaling(points, "power")
    assert (found.seeds, found.num_values) == (4, 4 * len(X) - 3)
    assert found.intervals["exponent"].low < -0.5 < found.intervals["exponent"].high


def test_the_number_of_starts_is_that_of_the_fit(monkeypatch):
    calls = []
    real = optimize.least_squares

    def counted(*arguments, **options):
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(optimize, "least_squares", counted)
    fits.fit_parameters(X, 0.3 + X**-1.0, with_offset=True)
    assert len(calls) == fits.OFFSET_STARTS
