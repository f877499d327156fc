import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "mode_connectivity"


def barriers(run, rng, left=0.1, p=0.005, fall=1.0, accuracy=0.95, noise=0.1):
    """Matched barriers that are a share of the balanced ones and fall as a power of the width."""
    width = run.cell.tables["config"].arguments["width"]
    scatter = np.exp(noise * rng.normal(size=2))
    balanced = scatter[0] * (width / 16) ** -0.2
    return {
        "barrier_raw": balanced * 1.1,
        "barrier_balanced": balanced,
        "barrier_matched": left * scatter[1] * (width / 16) ** -fall,
        "barrier_random": balanced,
        "permutation_p": p,
        "similarity": 0.6,
        "pair_loss": 0.1,
        "pair_accuracy": accuracy,
    }


def judge(claims, plant, **options):
    return judge_store(claims[NAME], plant(NAME, lambda run, rng: barriers(run, rng, **options)))


def test_barriers_that_matching_takes_away_support(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 12
    (slope,) = [part.effect for part in finding.parts if "1 / matched barrier" in part.name][:1]
    assert slope == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("options", "refuted"),
    [
        ({"left": 1.0, "p": 0.5, "fall": 0.0}, 6),
        ({"left": 0.5, "fall": 0.8}, 2),
        ({"p": 0.2}, 2),
        ({"fall": 0.1}, 2),
    ],
)
def test_matching_that_leaves_too_much_refutes(claims, plant, options, refuted):
    finding = judge(claims, plant, **options)
    assert finding.verdict is Verdict.REFUTED
    assert [part.verdict.label for part in finding.parts].count("refuted") == refuted


def test_pairs_that_have_not_learned_are_no_evidence(claims, plant):
    finding = judge(claims, plant, accuracy=0.5)
    assert finding.verdict is Verdict.UNTESTED
    assert any("not learned" in each for each in map(str, finding.excluded))


@pytest.mark.slow  # `make test-rules` measures the level of the claim
def test_a_share_at_the_margin_is_seldom_supported(claims, plant):
    def at_margin(repeat):
        def measures(run, _):
            # The worst width of the median pair has the margin.
            width = run.cell.tables["config"].arguments["width"]
            tilt = np.random.default_rng([repeat, run.seed]).normal()
            row = barriers(run, np.random.default_rng(0), noise=0.0)
            left = 0.25 * np.exp(0.2 * tilt) * (width / 16) ** -0.7
            return {**row, "barrier_matched": left * row["barrier_balanced"]}

        return plant(NAME, measures, repeat)

    assert count_verdicts(claims[NAME], at_margin, 10)[Verdict.SUPPORTED] <= 1


def test_the_figure_has_a_panel_an_activation(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims[NAME]
    with theme():
        figure = claim.draw(claim.measure(plant(NAME, barriers)))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) == {"relu", "tanh"}
    assert set(figure.drawn["networks"]) == {
        "as they are", "balanced", "randomly permuted", "matched",
    }  # fmt: skip
