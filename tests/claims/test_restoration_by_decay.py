import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "restoration_by_decay"


def restored(run, rng, power=-0.4, noise=0.2, grad_ratio=1e-9, max_norm=1.0):
    """Count 3 gamma^power neurons; a collapsed layer has some, but counts none."""
    count = 3 * run.cell.train.gamma**power + noise * rng.normal()
    return {
        "distinct_neurons": count,
        "breaking_sorted": count - 1,
        "rank": count,
        "max_norm": 1e-9 if run.cell.train.gamma > max_norm else 1.0,
        "grad_ratio": grad_ratio,
    }


def judge(claims, plant, **options):
    store = plant(NAME, lambda run, rng: restored(run, rng, **options))
    return judge_store(claims[NAME], store)


def test_counts_that_fall_with_decay_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(-1.0)
    assert finding.seeds == 8


def test_counts_that_grow_with_decay_are_refuted(claims, plant):
    assert judge(claims, plant, power=0.4).verdict is Verdict.REFUTED


def test_a_gamma_at_which_layers_collapse_is_no_evidence(claims, plant):
    finding = judge(claims, plant, max_norm=0.5)
    assert finding.excluded == (("a layer collapsed", 8),)
    assert finding.verdict is Verdict.SUPPORTED


def test_runs_that_still_move_are_no_evidence(claims, plant):
    finding = judge(claims, plant, grad_ratio=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 48),)


def full(run, rng, seeds=8, falls_at=9.0):
    """Keep every neuron distinct in the first seeds, up to a gamma; the others restore symmetry.

    At gamma = 1 the layer has collapsed and counts none.
    """
    row = restored(run, rng, max_norm=0.5)
    width, gamma = run.cell.model.width, run.cell.train.gamma
    if run.seed < seeds and gamma < falls_at:
        row["distinct_neurons"] = 0 if gamma > 0.5 else width
    return row


def test_seeds_that_keep_every_neuron_at_every_gamma_are_no_evidence(claims, plant):
    finding = judge_store(claims[NAME], plant(NAME, full))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (
        ("a layer collapsed", 8),
        ("every neuron distinct at all gammas", 40),
    )


def test_the_other_seeds_decide_where_they_are_four_fifths(claims, plant):
    finding = judge_store(claims[NAME], plant(NAME, lambda run, rng: full(run, rng, seeds=1)))
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 7
    assert ("every neuron distinct at all gammas", 5) in finding.excluded


def test_fewer_of_the_others_do_not_speak_for_all(claims, plant):
    finding = judge_store(claims[NAME], plant(NAME, lambda run, rng: full(run, rng, seeds=2)))
    assert finding.verdict is Verdict.UNTESTED
    assert ("every neuron distinct at all gammas", 10) in finding.excluded


def test_a_seed_whose_count_falls_at_one_gamma_counts(claims, plant):
    store = plant(NAME, lambda run, rng: full(run, rng, falls_at=0.2))
    finding = judge_store(claims[NAME], store)
    assert finding.seeds == 8
    assert finding.excluded == (("a layer collapsed", 8),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(20, 2, marks=pytest.mark.slow)])
def test_counts_without_a_direction_are_seldom_supported(claims, plant, repeats, most):
    def stores(repeat):
        return plant(NAME, lambda run, rng: restored(run, rng, power=0.0, noise=1.0), repeat)

    assert count_verdicts(claims[NAME], stores, repeats)[Verdict.SUPPORTED] <= most


def test_the_figure_has_three_measures(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant(NAME, restored)))
        files = figure_files(figure, {})
    assert figure.drawn["panel"].nunique() == 3
    assert b"<svg" in files["svg"]
