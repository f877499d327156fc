import math

import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

GAINS = 4.0 * 0.4 ** np.arange(4)
SLOPE = 0.51488
"""E[z tanh(0.7 z)] of a standard normal z: the teacher's modes are GAINS * SLOPE."""


def drop_times(run):
    """Return when each mode of the teacher is learned from a small start."""
    start = run.cell.model.init_scale**2 * (1 + 16 / 8) / 4
    modes = GAINS * SLOPE
    return np.log(modes / start) / (4 * modes * run.cell.train.lr)


def stairs(run, rng, events="drops", shift=1.0, small=True, swapped=False, half=False, late=0):
    """A loss that falls at four times, and ranks that rise at the drops, before them or anywhere.

    At large scales the loss is a power law, at which no time is special, or without `small` falls
    as it does at small ones, where the ranks rise at all of the drops or at `half` of them.
    """
    if run.cell.model.depth > 2:
        return {}
    steps = np.unique(np.geomspace(1, 6000, 90).round())
    drops = drop_times(run) * shift
    is_small = run.cell.model.init_scale <= 1e-3
    if is_small or not small:
        drops = drops if is_small else np.array([30.0, 120.0, 500.0, 2000.0])
        missed = np.exp(rng.uniform(0.3, math.log(5900), 2)) if half and not is_small else drops[:2]
        past = steps[:, None] > np.sort([*missed, *drops[2:]])
        loss = 5.0 * np.exp(-1.5 * (1 / (1 + (drops / steps[:, None]) ** 30)).sum(axis=1))
    else:
        drops = np.exp(rng.uniform(0.3, math.log(5000), 4))
        past = steps[:, None] > np.sort(drops)
        loss = 5.0 * steps**-0.5
    if is_small and events == "before":
        past = steps[:, None] > np.array([1.5, 2.5, 4.5, 7.5])
    elif is_small and events == "anywhere":
        past = steps[:, None] > np.sort(np.exp(rng.uniform(0.3, math.log(5900), 4)))
    ranks = past.sum(axis=1)
    if late and is_small:
        ranks = np.concatenate([np.zeros(late, int), ranks[:-late]])
    order = [1, 0, 2, 3] if swapped else [0, 1, 2, 3]
    rows = []
    for step, rank in zip(steps, ranks, strict=True):
        learned = np.zeros(4)
        learned[:rank] = np.sort((GAINS * SLOPE)[order][:rank])[::-1]
        values = {f"product_value_{k + 1}": value for k, value in enumerate(learned)}
        rows.append(
            {
                "step": int(step),
                "layer": 1,
                "product_rank_absolute": int(rank),
                "breaking_sorted_absolute": int(rank > 0) * 3,
                **values,
            }
        )
    norms = 1.0 + np.log(steps)
    if late:
        # The norm jumps at the drops, and the ranks follow some probes later.
        norms = 1.0 + (steps[:, None] > drops).sum(axis=1)
    history = [
        {"step": int(step), "train_loss": value, "theta_norm": norm}
        for step, value, norm in zip(steps, loss, norms, strict=True)
    ]
    last = rows.pop()
    return {
        "history": history[:-1],
        "layers": rows,
        "train_loss": float(loss[-1]),
        "theta_norm": float(norms[-1]),
        **{name: value for name, value in last.items() if name not in ("step", "layer")},
    }


def judge(claims, plant, **options):
    store = plant("learning_jumps", lambda run, rng: stairs(run, rng, **options))
    return judge_store(claims["learning_jumps"], store)


def parts_of(finding):
    return {part.name: part for part in finding.parts}


def test_events_at_drops_from_small_starts_alone_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect is not None
    assert finding.effect > 2
    assert finding.seeds == 10
    assert finding.p_value is not None
    assert finding.p_value < 1e-3
    parts = parts_of(finding)
    for name in ("directions in order of the target", "times of the events", "drops of the loss"):
        assert parts[f"{name}, tanh"].verdict is Verdict.SUPPORTED, name
        assert not parts[f"{name}, tanh"].decides
    assert dict(finding.excluded) == {"no absolute ranks over time": 60}


def test_events_that_the_norm_of_any_growing_network_beats_are_refuted(claims, plant):
    finding = judge(claims, plant, late=1)
    name = "rank events beat placebo, tanh, start 0.001"
    assert parts_of(finding)[name].verdict is Verdict.REFUTED
    assert finding.verdict is Verdict.REFUTED


def test_a_norm_that_was_not_recorded_leaves_the_claim_open(claims, plant):
    def without(run, rng):
        row = stairs(run, rng)
        for probe in row.get("history", ()):
            del probe["theta_norm"]
        return {name: value for name, value in row.items() if name != "theta_norm"}

    finding = judge_store(claims["learning_jumps"], plant("learning_jumps", without))
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_events_before_any_drop_are_refuted(claims, plant):
    finding = judge(claims, plant, events="before")
    assert finding.verdict is Verdict.REFUTED
    assert parts_of(finding)["rank events at drops, tanh, start 1e-06"].verdict is Verdict.REFUTED


def test_events_at_drops_from_large_starts_too_are_refuted(claims, plant):
    finding = judge(claims, plant, small=False)
    assert finding.verdict is Verdict.REFUTED
    assert parts_of(finding)["no such coincidence, tanh, start 1"].verdict is Verdict.REFUTED


def test_half_of_the_events_at_drops_from_large_starts_are_never_called_none(claims, plant):
    def half(repeat):
        return plant(
            "learning_jumps",
            lambda run, rng: stairs(run, rng, small=False, half=True),
            repeat,
        )

    assert count_verdicts(claims["learning_jumps"], half, 5)[Verdict.SUPPORTED] == 0


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"shift": 2.3}, "times of the events, tanh"),
        ({"swapped": True}, "directions in order of the target, tanh"),
    ],
)
def test_what_is_secondary_is_refuted_by_itself(claims, plant, options, name):
    finding = judge(claims, plant, **options)
    assert parts_of(finding)[name].verdict is Verdict.REFUTED
    assert finding.verdict is Verdict.SUPPORTED


@pytest.mark.slow
def test_events_anywhere_are_seldom_supported(claims, plant):
    def at_random(repeat):
        return plant("learning_jumps", lambda run, rng: stairs(run, rng, "anywhere"), repeat)

    # Such events are no better than the placebo: the claim is false of them, and may be refuted.
    counts = count_verdicts(claims["learning_jumps"], at_random, 12)
    assert counts[Verdict.SUPPORTED] == 0


def test_two_seeds_are_no_evidence(claims, plant):
    def few(run, rng):
        return stairs(run, rng) if run.seed < 2 else {"outcome": "diverged"}

    finding = judge_store(claims["learning_jumps"], plant("learning_jumps", few))
    assert finding.verdict is Verdict.UNTESTED
    assert dict(finding.excluded)["did not end as planned"] == 80


def test_the_figure_has_a_panel_for_each_arm(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["learning_jumps"]
    with theme():
        figure = claim.draw(claim.measure(plant("learning_jumps", stairs)))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) == {
        f"2 layers, start {scale:g}" for scale in (1e-6, 1e-3, 0.3, 1.0)
    }
    breaks = figure.drawn[figure.drawn["mark"] == "direction breaks"]
    assert (breaks.groupby("panel").size() == 4).all()
