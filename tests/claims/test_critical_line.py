import functools

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import count_verdicts, judge_store
from symstudy.testing.searches import plant_search

NAME = "critical_line"
START = 1e-55
BATCH = 8


@functools.cache
def exact(temperature):
    """The root of E ln|1 - 2 lr gamma + 2 lr b|, by quadrature, for inputs of variance 1."""
    lr = temperature * BATCH
    law = stats.gamma(BATCH / 2, scale=2 / BATCH)

    def exponent(gamma):
        return integrate.quad(
            lambda b: np.log(abs(1 - 2 * lr * gamma + 2 * lr * b)) * law.pdf(b), 0, 12
        )[0]

    return optimize.brentq(exponent, 0.7, 1.0)


def growing(run, critical):
    """A run grows at (critical gamma of its temperature and seed) - gamma, as it would."""
    train = run.cell.train
    rate = critical(train.lr / train.batch_size, run.seed) - train.gamma
    power = lambda step: np.log(START) + 2 * rate * train.lr * step  # noqa: E731  # a formula
    norm = lambda step: float(np.exp(np.clip(power(step), -690, 0)))  # noqa: E731
    steps = (0, train.steps // 4, train.steps // 2, 3 * train.steps // 4)
    return {
        "theta_norm": norm(train.steps),
        "history": [{"step": step, "theta_norm": norm(step)} for step in steps],
    }


@pytest.fixture
def plant_line(tmp_path, root):
    path = root / "studies" / f"{NAME}.toml"

    def make(critical, repeat=0, overrides=()):
        study = load_study(path, overrides=overrides)
        return plant_search(tmp_path / str(repeat), study, lambda run: growing(run, critical))

    return make


def spread(repeat, temperature, seed, size=0.0015):
    key = [repeat, round(1e6 * temperature), seed]
    return size * np.random.default_rng(key).normal()


def test_the_exact_line_is_supported(claims, plant_line):
    finding = judge_store(claims[NAME], plant_line(lambda t, s: exact(t) + spread(0, t, s)))
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(1.0, abs=0.05)
    assert finding.seeds == 20


def test_the_search_closes_in_on_the_line(claims, plant_line):
    asked = plant_line(lambda t, s: exact(t)).df("select distinct temperature, gamma from runs")
    for temperature, group in asked.groupby("temperature"):
        distance = (group["gamma"] - exact(temperature)).abs()
        assert distance.min() < 2e-3
        assert len(group) <= 18


@pytest.mark.parametrize("share", [0.0, 0.7, 1.3])
def test_another_line_is_refuted(claims, plant_line, share):
    store = plant_line(lambda t, s: 1 - share * (1 - exact(t)) + spread(1, t, s))
    assert judge_store(claims[NAME], store).verdict is Verdict.REFUTED


def test_the_first_order_line_is_not_the_exact_one(claims, plant_line):
    store = plant_line(lambda t, s: 1 - 2 * t + spread(2, t, s, 1e-4))
    finding = judge_store(claims[NAME], store)
    assert finding.verdict is Verdict.REFUTED
    # At the lowest temperature the two do not differ.
    assert finding.parts[0].verdict is Verdict.SUPPORTED
    assert finding.part("noise's share over T v at temperature = 0.008").effect == pytest.approx(
        1, abs=0.01
    )


def test_few_seeds_decide_nothing(claims, plant_line):
    def only_four(temperature, seed):
        return exact(temperature) if seed < 4 else np.nan

    finding = judge_store(claims[NAME], plant_line(only_four))
    assert finding.verdict is Verdict.INCONCLUSIVE


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.slow
def test_a_share_at_the_margin_is_seldom_supported(claims, plant_line):
    def at_margin(repeat):
        def critical(temperature, seed):
            share = 0.9 if temperature > 0.035 else 1.0
            return 1 - share * (1 - exact(temperature)) + spread(repeat, temperature, seed)

        return plant_line(critical, repeat, ["seed=6"])

    # Supported at 5 % at each of two temperatures.
    assert count_verdicts(claims[NAME], at_margin, 10)[Verdict.SUPPORTED] <= 1


def test_the_figure_has_the_line_of_every_temperature(claims, plant_line):
    from symstudy.plots.figures import figure_files, theme

    measured = claims[NAME].measure(plant_line(lambda t, s: exact(t)))
    with theme():
        figure = claims[NAME].draw(measured)
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert figure.drawn["panel"].value_counts()["critical line"] == 4
