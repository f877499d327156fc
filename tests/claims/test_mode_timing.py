import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def logistic(run, late=1.0, only=None, reach=1.0):
    """Singular values that rise on time, or late by a factor; `only` names the late start."""
    model, train = run.cell.model, run.cell.train
    start = model.init_scale**2 * (1.0 if model.init_balanced else (1 + model.width / 4) / 4)
    kind = "aligned" if model.init_balanced else "random"
    factor = late if only in (None, kind) else 1.0
    steps = np.unique(np.geomspace(1, train.steps, 60).round())
    rows = []
    for step in steps:
        row: dict[str, float] = {"step": int(step), "layer": 1}
        for k in range(1, 5):
            final = 2.0 / k - train.gamma
            half = factor * np.log(final / start - 1) / (4 * final)
            rise = 1 / (1 + np.exp(-4 * final * (step * train.lr - half)))
            row[f"product_value_{k}"] = float(reach * final * rise)
        rows.append(row)
    last = rows.pop()
    return {
        "layers": rows,
        **{name: value for name, value in last.items() if name not in ("step", "layer")},
    }


def judge(claims, plant, **options):
    store = plant("mode_timing", lambda run, _: logistic(run, **options))
    return judge_store(claims["mode_timing"], store)


def test_logistic_modes_are_on_time(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(0, abs=1e-6)
    assert finding.seeds == 5
    assert finding.p_value is None
    assert len(finding.parts) == 2


@pytest.mark.parametrize(
    ("late", "only", "verdicts"),
    [
        (1.03, "aligned", ["refuted", "supported"]),
        (1.03, "random", ["supported", "supported"]),
        (0.88, "random", ["supported", "refuted"]),
    ],
)
def test_each_start_has_its_tolerance(claims, plant, late, only, verdicts):
    finding = judge(claims, plant, late=late, only=only)
    assert [part.verdict.label for part in finding.parts] == verdicts


def test_a_mode_that_is_never_learned_refutes(claims, plant):
    assert judge(claims, plant, reach=0.4).verdict is Verdict.REFUTED


def test_times_that_scatter_beyond_the_tolerance_are_never_supported(claims, plant):
    def scattered(repeat):
        return plant(
            "mode_timing", lambda run, rng: logistic(run, late=np.exp(0.1 * rng.normal())), repeat
        )

    counts = count_verdicts(claims["mode_timing"], scattered, 5)
    assert counts[Verdict.SUPPORTED] == 0


def test_two_seeds_are_no_evidence(claims, plant):
    def few(run, _):
        return logistic(run) if run.seed < 2 else {"outcome": "diverged"}

    assert judge_store(claims["mode_timing"], plant("mode_timing", few)).verdict is Verdict.UNTESTED


def test_the_figure_shows_every_mode(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["mode_timing"]
    with theme():
        figure = claim.draw(claim.measure(plant("mode_timing", lambda run, _: logistic(run))))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert len(figure.drawn) == 40 * 4
