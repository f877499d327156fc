import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "phase_diagram"
STRENGTHS = 0.5 * np.arange(1.0, 4.0) ** -0.7


def phased(run, rng, share=1.0, noise=0.0, way=1.0):
    """Lose a mode where way gamma + share T v exceeds it; grow from tiny starts accordingly."""
    train, scale = run.cell.train, run.cell.model.init_scale
    temperature = train.lr / train.batch_size
    pressure = way * train.gamma + share * temperature * 2 * STRENGTHS**2
    pressure = pressure + (0.5 if way < 0 else 0.0) + noise * rng.normal()
    if scale > 1e-20:
        values = np.where(pressure < STRENGTHS, 0.1, 1e-9)
        return {f"product_value_{k}": values[k - 1] for k in (1, 2, 3)} | {"theta_norm": 1.0}
    rate = STRENGTHS[0] - pressure[0]
    steps = np.array([400, 4000, 12000, 20000])
    # Rates are halves of the growth of ln|theta|, per unit of lr times steps.
    logs = np.log(1e-50) + 2 * rate * train.lr * steps
    history = [
        {"step": int(step), "theta_norm": float(np.exp(min(log, 300.0)))}
        for step, log in zip(steps[:-1], logs, strict=False)
    ]
    return {"theta_norm": float(np.exp(min(logs[-1], 300.0))), "history": history}


def judge(claims, plant, **options):
    store = plant(NAME, lambda run, rng: phased(run, rng, **options))
    return judge_store(claims[NAME], store)


def test_lines_of_the_exact_slope_are_supported(claims, plant):
    finding = judge(claims, plant, noise=2e-4)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(-1.0, abs=0.03)
    assert finding.seeds == 10


@pytest.mark.parametrize("share", [0.7, 1.4])
def test_lines_of_another_slope_are_refuted(claims, plant, share):
    finding = judge(claims, plant, share=share, noise=2e-4)
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(-share, abs=0.05)


def test_modes_that_come_with_decay_are_refuted(claims, plant):
    finding = judge(claims, plant, way=-1.0)
    degree = [part for part in finding.parts if part.name.startswith("modes") and part.decides]
    assert {part.verdict for part in degree} == {Verdict.REFUTED}
    assert finding.verdict is Verdict.REFUTED


def test_too_few_temperatures_leave_the_line_untested(claims, plant):
    def few(run, rng):
        measures = phased(run, rng)
        ratio = run.cell.train.lr / run.cell.train.batch_size
        return measures if ratio < 0.012 else {"outcome": "diverged"}

    finding = judge_store(claims[NAME], plant(NAME, few))
    assert finding.parts[0].verdict is Verdict.UNTESTED
    assert finding.verdict is Verdict.INCONCLUSIVE


@pytest.mark.slow  # `make test-rules` measures the level of the claim
def test_a_slope_at_the_margin_is_seldom_supported(claims, plant):
    def at_margin(repeat):
        return plant(NAME, lambda run, rng: phased(run, rng, share=1.1, noise=5e-4), repeat)

    assert count_verdicts(claims[NAME], at_margin, 6)[Verdict.SUPPORTED] <= 1


def test_the_figure_has_the_plane_and_the_line(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant(NAME, phased)))
        files = figure_files(figure, {})
    assert (figure.drawn["panel"] == "plane").sum() == 11 * 8
    assert set(figure.drawn["mode"].dropna()) == {1, 2, 3}
    assert b"<svg" in files["svg"]


def test_without_a_plane_the_figure_shows_the_line(claims, plant):
    from symstudy.plots.figures import theme

    def only_tiny(run, rng):
        is_tiny = run.cell.model.init_scale < 1e-20
        return phased(run, rng) if is_tiny else {"outcome": "diverged"}

    measured = claims[NAME].measure(plant(NAME, only_tiny))
    finding = claims[NAME].judge(measured)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.part("modes that are not lost against gamma").verdict is Verdict.UNTESTED
    with theme():
        figure = claims[NAME].draw(measured)
    assert finding.parts[0].name in set(figure.drawn["panel"])
