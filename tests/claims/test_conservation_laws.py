import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def conserving(run, rng, power=1.0, control=0.0, decay=4.0, noise=0.02):
    """The balance drifts as lr^power (tanh: lr^control) and falls as exp(-decay gamma t)."""
    train, activation = run.cell.train, run.cell.model.activation
    order = control if activation == "tanh" else power
    size = 1.0 if activation == "tanh" else 0.5
    start = -20.0 - run.seed
    drift = size * train.lr**order * np.exp(noise * rng.normal())
    fallen = start * np.exp(-decay * train.gamma * train.lr * train.steps)
    return {
        "balance": fallen + drift,
        "layers": [{"step": 0, "layer": 1, "balance": start}],
    }


ORDER = "exponent of drift against lr, kind = conserving, regime = without decay, activation = "


def judge(claims, plant, seeds=None, **options):
    store = plant(
        "conservation_laws", lambda run, rng: conserving(run, rng, **options), seeds=seeds
    )
    return judge_store(claims["conservation_laws"], store)


def test_planted_laws_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.part(ORDER + "relu").effect == pytest.approx(1.0, abs=0.05)
    assert finding.effect == pytest.approx(0.0, abs=0.05)
    assert len(finding.parts) == 5


@pytest.mark.parametrize("power", [0.7, 1.4])
def test_another_order_of_the_drift_is_refuted(claims, plant, power):
    finding = judge(claims, plant, seeds=10, power=power)
    assert finding.verdict is Verdict.REFUTED
    assert finding.part(ORDER + "linear").effect == pytest.approx(power, abs=0.05)


def test_another_decay_is_refuted(claims, plant):
    finding = judge(claims, plant, seeds=10, decay=3.9)
    assert finding.verdict is Verdict.REFUTED
    assert [part.verdict for part in finding.parts[2:4]] == [Verdict.REFUTED] * 2


def test_a_control_that_conserves_is_refuted(claims, plant):
    finding = judge(claims, plant, seeds=10, control=1.0)
    assert finding.verdict is Verdict.REFUTED
    assert finding.parts[-1].verdict is Verdict.REFUTED


def test_runs_that_failed_are_no_evidence(claims, plant):
    store = plant("conservation_laws", lambda run, rng: {"outcome": "diverged"})
    finding = judge_store(claims["conservation_laws"], store)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("did not end as planned", 300),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(20, 2, marks=pytest.mark.slow)])
def test_an_order_at_the_margin_is_seldom_supported(claims, plant, repeats, most):
    def at_margin(repeat):
        return plant(
            "conservation_laws",
            lambda run, rng: conserving(run, rng, power=1.1, noise=0.1),
            repeat,
        )

    counts = count_verdicts(claims["conservation_laws"], at_margin, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_the_figure_has_drift_and_decay(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["conservation_laws"]
    with theme():
        figure = claim.draw(claim.measure(plant("conservation_laws", conserving)))
        assert b"<svg" in figure_files(figure, {})["svg"]
    panels = set(figure.drawn["panel"])
    assert {"drift", "residuals"} <= panels
    assert any(panel.startswith("deviation from exp(-4 gamma t)") for panel in panels)
