import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def attention(layer, step, capacity, broken):
    """One row of `layers`: a layer with `broken` of its directions broken in each pair."""
    return {
        "layer": layer,
        "step": step,
        "head_directions": capacity,
        "query_key_breaking": int(min(broken[0], capacity)),
        "value_output_breaking": int(min(broken[1], capacity)),
        "query_key_layer_breaking": int(0.8 * broken[0]),
        "value_output_layer_breaking": int(0.8 * broken[1]),
        "query_key_effective_rank": 0.5 * broken[0],
        "value_output_effective_rank": 0.5 * broken[1],
    }


def trained(run, rng, ratio=1.0, gap=0.0, budget=6.4, initial=1.0, spread=0.6):
    """Two layers, about 20 directions of 32 broken in the small network, `ratio` times in both."""
    width, steps = run.cell.model.width, run.cell.train.steps
    is_large = width == 64
    mean = 20.0 * (ratio if is_large else 1.0)
    rows = [
        attention(layer, steps, width, np.round(mean + spread * rng.normal(size=2)))
        for layer in (1, 3)
    ]
    start = width * (initial if is_large else 1.0)
    first = rows.pop(0)
    del first["layer"], first["step"]
    return {
        **first,
        "test_accuracy": 0.96 + gap * is_large + 0.002 * rng.normal(),
        "decay_budget": budget,
        "layers": [*(attention(layer, 0, width, (start, start)) for layer in (1, 3)), *rows],
    }


def judge(claims, plant, seeds=None, **options):
    def measures(run, rng):
        return trained(run, rng, **options)

    store = plant("vision_transformers", measures, seeds=seeds)
    return judge_store(claims["vision_transformers"], store)


def test_as_many_broken_symmetries_in_both_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(1.0, abs=0.05)
    assert finding.seeds == 5
    name = "ratio of breaking over that of the directions, random weights"
    assert finding.part(name).effect == 1.0


@pytest.mark.parametrize("ratio", [1.3, 1.6])
def test_breaking_that_grows_with_the_size_is_refuted(claims, plant, ratio):
    # Refuting one of two parts takes six seeds.
    finding = judge(claims, plant, ratio=ratio, seeds=6)
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(ratio, abs=0.06)
    assert finding.part("ratio of breaking").p_value < 0.05


@pytest.mark.parametrize("ratio", [1.0, 1.6])
def test_networks_that_solve_the_task_differently_decide_nothing(claims, plant, ratio):
    assert judge(claims, plant, gap=0.03, ratio=ratio).verdict is Verdict.INCONCLUSIVE


def test_a_measure_that_is_not_in_proportion_at_random_weights_decides_nothing(claims, plant):
    assert judge(claims, plant, initial=0.9).verdict is Verdict.INCONCLUSIVE


def test_runs_without_a_decay_budget_are_no_evidence(claims, plant):
    finding = judge(claims, plant, budget=4.0)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("decay budget below 6", 10),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(10, 1, marks=pytest.mark.slow)])
def test_breaking_that_grows_by_a_third_is_seldom_called_alike(claims, plant, repeats, most):
    def proportional(repeat):
        return plant(
            "vision_transformers",
            lambda run, rng: trained(run, rng, ratio=1.3, spread=4.0),
            repeat,
        )

    counts = count_verdicts(claims["vision_transformers"], proportional, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_one_size_is_untested(claims, plant):
    store = plant(
        "vision_transformers",
        lambda run, rng: {"outcome": "error"} if run.cell.model.width == 64 else trained(run, rng),
    )
    assert judge_store(claims["vision_transformers"], store).verdict is Verdict.UNTESTED


def from_file(run, rng, ratio=1.0, share=0.6):
    """ViT-B/16 and ViT-L/16 with `share` of the directions of B broken, and `ratio` times in L."""
    is_large = "vit_l" in run.cell.model.path
    capacity, layers = (1024, 24) if is_large else (768, 12)
    mean = 768 * share * (ratio if is_large else 1.0)
    if run.cell.model.weights == "random":
        mean = capacity
    noise = 0.0 if mean == capacity else 40.0
    rows = [
        attention(layer, 0, capacity, mean + noise * rng.normal(size=2))
        for layer in range(1, layers + 1)
    ]
    first = rows.pop(0)
    del first["layer"], first["step"]
    return {**first, "decay_budget": 0.0, "layers": rows}


@pytest.mark.parametrize("ratio", [0.8, 1.0, 4 / 3])
def test_two_files_are_one_pair_and_decide_nothing(claims, plant, ratio):
    store = plant("vision_checkpoints", lambda run, rng: from_file(run, rng, ratio))
    finding = judge_store(claims["vision_transformers"], store)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.effect == pytest.approx(ratio, rel=0.06)
    assert finding.seeds == 1
    assert "1 seeds, and no fewer than 5 can decide" in finding.reason


@pytest.mark.parametrize("study", ["vision_transformers", "vision_checkpoints"])
def test_the_figure_shows_both_ratios(claims, plant, study):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["vision_transformers"]
    measured = claim.measure(plant(study, trained if study.endswith("mers") else from_file))
    with theme():
        figure = claim.draw(measured)
        files = figure_files(figure, {})
    panels = set(figure.drawn["panel"])
    assert {"ratio of breaking", "ratio of breaking over that of the directions"} < panels
    assert b"<svg" in files["svg"]
