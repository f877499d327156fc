import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import count_verdicts, judge_store
from symstudy.testing.stores import plant_store

NAME = "adaptive_capacity_input_scale"


def test_capacity_that_adapts_as_claimed_is_supported(claims, plant_capacity):
    finding = judge_store(claims[NAME], plant_capacity())
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 5
    assert finding.effect == pytest.approx(1.0)
    assert finding.p_value is not None
    assert finding.p_value < 0.05


def test_capacity_that_adapts_the_other_way_is_refuted(claims, plant_capacity):
    finding = judge_store(claims[NAME], plant_capacity(way=-1, seeds=6))
    assert finding.verdict is Verdict.REFUTED
    assert finding.p_value is not None
    assert finding.p_value < 0.02


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(12, 2, marks=pytest.mark.slow)])
def test_capacity_that_does_not_depend_is_seldom_supported(claims, plant_capacity, repeats, most):
    def unrelated(repeat):
        return plant_capacity(way=0, noise=0.3, repeat=repeat)

    assert count_verdicts(claims[NAME], unrelated, repeats)[Verdict.SUPPORTED] <= most


def test_minima_that_are_not_are_no_evidence(claims, plant_capacity):
    finding = judge_store(claims[NAME], plant_capacity(grad_ratio=1e-3))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 55),)


@pytest.mark.parametrize("count", [0.0, 32.0])
def test_counts_that_cannot_move_are_no_evidence(claims, plant, count):
    minimum = {"distinct_neurons": count, "breaking_sorted": 31, "rank": 8, "max_norm": 1.0}
    store = plant("adaptive_capacity", lambda run, rng: {**minimum, "grad_ratio": 1e-9})
    finding = judge_store(claims[NAME], store)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("every neuron, or none, distinct at all places", 25),)


def test_only_one_factor_changes_at_a_time(claims, plant_capacity):
    runs = claims[NAME].measure(plant_capacity()).runs
    assert sorted(runs["input_scale"].unique()) == [0.1, 0.25, 0.5, 1.0, 2.0]
    assert len(runs) == 5 * 5


def test_the_figure_has_a_panel_a_measure(claims, plant_capacity):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant_capacity()))
        files = figure_files(figure, {})
    assert figure.drawn["panel"].nunique() == 3
    assert b"<svg" in files["svg"]


def test_of_several_gammas_the_largest_at_which_three_places_count_is_judged(
    claims, tmp_path, request
):
    path = request.config.rootpath / "studies" / "adaptive_capacity.toml"
    study = load_study(path, overrides=("train.gamma=[0.001,0.01]",))

    def planted(run):
        # The weaker gamma goes the other way, and farther: a mean over both would follow it.
        way = 0.4 if run.cell.train.gamma == 0.01 else -1.0
        count = round(20 * run.cell.data.input_scale**way)
        return {"distinct_neurons": min(count, 31), "neurons": 32, "max_norm": 1.0,
                "grad_ratio": 1e-9, "breaking_sorted": 1, "rank": 1}  # fmt: skip

    finding = judge_store(claims[NAME], plant_store(tmp_path, study, planted))
    assert finding.verdict is Verdict.SUPPORTED
    (part,) = (part for part in finding.parts if part.decides)
    assert "gamma = 0.01" in part.name
