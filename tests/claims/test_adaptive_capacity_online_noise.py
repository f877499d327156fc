import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME, STUDY = "adaptive_capacity_online_noise", "adaptive_capacity_noise"


def pruned(run, rng, way=1, noise=0.02, turn=False):
    """Fewer neurons the noisier the labels; with `turn` only up to a noise of 0.9."""
    level = run.cell.data.label_noise
    level = abs(level - 0.9) - 0.9 if turn else -level
    # Ten times as many as there are, so that whole numbers have no part in it.
    count = round(200 * np.exp(0.3 * way * level + noise * rng.normal()))
    last = {"contributing_neurons": count, "breaking_sorted": 31, "rank": count}
    steps = run.cell.train.steps
    rows = [
        {"step": int(share * steps), "layer": 1, **last, "contributing_neurons": counted}
        for share, counted in ((0.5, 5), (0.92, count), (0.96, count))
    ]
    return {**last, "layers": rows}


def judge(claims, plant, **options):
    store = plant(STUDY, lambda run, rng: pruned(run, rng, **options))
    return judge_store(claims[NAME], store)


def test_noise_that_prunes_is_supported_at_every_rate(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 8
    assert [part.name for part in finding.parts if part.decides] == [
        "contributing neurons against label noise at lr over batch = 0.0025",
        "contributing neurons against label noise at lr over batch = 0.0075",
    ]


def test_noise_that_adds_neurons_or_turns_is_refuted(claims, plant):
    assert judge(claims, plant, way=-1).verdict is Verdict.REFUTED
    assert judge(claims, plant, turn=True).verdict is Verdict.REFUTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(10, 1, marks=pytest.mark.slow)])
def test_noise_that_does_nothing_is_seldom_supported(claims, plant, repeats, most):
    def unrelated(repeat):
        return plant(STUDY, lambda run, rng: pruned(run, rng, way=0, noise=0.3), repeat)

    assert count_verdicts(claims[NAME], unrelated, repeats)[Verdict.SUPPORTED] <= most


def test_noise_beyond_the_claim_is_reported_only(claims, plant):
    def turning_late(run, rng):
        measures = pruned(run, rng)
        if run.cell.data.label_noise > 2:
            measures["layers"] = [
                {**row, "contributing_neurons": 320} for row in measures["layers"]
            ]
            measures["contributing_neurons"] = 320
        return measures

    finding = judge_store(claims[NAME], plant(STUDY, turning_late))
    assert finding.verdict is Verdict.SUPPORTED
    beyond = [part for part in finding.parts if "beyond 2" in part.name]
    assert len(beyond) == 2
    assert all(part.effect is not None and part.effect > -0.9 for part in beyond)
    assert not any(part.decides for part in beyond)


def test_neurons_are_counted_over_the_last_tenth(claims, plant):
    runs = claims[NAME].measure(plant(STUDY, pruned)).runs
    # The probe at half of the steps, with 5 neurons, does not count.
    assert runs["count"].min() > 40


def test_runs_that_diverged_are_told(claims, plant):
    finding = judge_store(claims[NAME], plant(STUDY, lambda run, rng: {"outcome": "diverged"}))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("did not end as planned", 64),)


def test_the_figure_has_a_panel_a_measure(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant(STUDY, pruned)))
        files = figure_files(figure, {})
    assert figure.drawn["panel"].nunique() == 3
    assert set(figure.drawn["lr_over_batch"]) == {0.0025, 0.0075}
    assert b"<svg" in files["svg"]


def test_seeds_all_of_whose_neurons_contribute_at_every_noise_are_no_evidence(claims, plant):
    def full(run, rng):
        width = run.cell.model.width
        measures = pruned(run, rng)
        rows = [{**row, "contributing_neurons": width} for row in measures["layers"]]
        return {**measures, "contributing_neurons": width, "layers": rows}

    finding = judge_store(claims[NAME], plant(STUDY, full))
    assert finding.verdict is Verdict.UNTESTED
    assert dict(finding.excluded) == {"every neuron contributes at all places": 64}
