import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import judge_store


def one_drop(run, at_drop=("polynomial", "sin")):
    """A loss that falls once, in one step of 60 probes, and a rank that rises there or at once."""
    total = run.cell.train.steps
    steps = np.unique(np.geomspace(1, total, 60).round())
    is_small = run.cell.model.init_scale <= 1e-3
    drop = 300.0 + 10 * run.seed
    loss = np.where(steps > drop, 0.1, 5.0) * (1.0 - 1e-6 * np.log(steps))
    event = drop if run.cell.model.activation in at_drop else 1.5
    ranks = (steps > event) if is_small else np.ones(len(steps))
    rows = [
        {
            "step": int(step),
            "layer": 1,
            "product_rank_absolute": int(rank),
            "breaking_sorted_absolute": 0,
        }
        for step, rank in zip(steps, ranks, strict=True)
    ]
    history = [
        {"step": int(step), "train_loss": value, "theta_norm": 1.0 + np.log(step)}
        for step, value in zip(steps, loss, strict=True)
    ]
    return {
        "history": history[:-1],
        "layers": rows[:-1],
        "train_loss": float(loss[-1]),
        "theta_norm": 1.0 + np.log(total),
        "product_rank_absolute": rows[-1]["product_rank_absolute"],
        "breaking_sorted_absolute": 0,
    }


def judge(claims, plant, **options):
    store = plant("learning_jumps_activations", lambda run, _: one_drop(run, **options))
    return judge_store(claims["learning_jumps_activations"], store)


def test_both_activations_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert sum(part.decides for part in finding.parts) == 2 * (
        2 + 2 + 2
    )  # two parts a small start, one a large one
    # An event a run is in the fastest of 60 stretches.
    assert finding.effect == pytest.approx(59, rel=0.05)


@pytest.mark.parametrize("only", ["polynomial", "sin"])
def test_one_activation_alone_is_not_enough(claims, plant, only):
    finding = judge(claims, plant, at_drop=(only,))
    parts = {part.name: part for part in finding.parts}
    assert parts[f"rank events at drops, {only}, start 0.001"].verdict is Verdict.SUPPORTED
    assert finding.verdict in (Verdict.INCONCLUSIVE, Verdict.REFUTED)


def test_the_figure_has_a_row_an_activation(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["learning_jumps_activations"]
    with theme():
        store = plant("learning_jumps_activations", lambda run, _: one_drop(run))
        figure = claim.draw(claim.measure(store))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert figure.drawn["panel"].nunique() == 8
    assert figure.drawn["panel"].str.startswith("sin z").any()


def test_two_seeds_are_no_evidence(claims, plant):
    def few(run, _):
        return one_drop(run) if run.seed < 2 else {"outcome": "diverged"}

    store = plant("learning_jumps_activations", few)
    assert judge_store(claims["learning_jumps_activations"], store).verdict is Verdict.UNTESTED
