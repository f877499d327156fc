from pathlib import Path

import numpy as np
import pytest
from jump_plants import STEPS, TRUE, course, crossings, planted_rows
from measure_jumps import kind_rates

from symstudy.findings import Verdict
from symstudy.testing.claims import judge_store

ROOT = Path(__file__).parents[2]


def jumping(run, rng, kind="symmetry"):
    """A course of a planted kind for the networks that decide; the others record nothing."""
    return planted_rows(course(rng, kind)) if run.cell.model.depth == 5 else {}


def judge(claims, plant, change=lambda run, row: row, kind="symmetry"):
    store = plant("learning_jumps", lambda run, rng: change(run, jumping(run, rng, kind)))
    return judge_store(claims["learning_jumps"], store)


def deciding(finding):
    return [part for part in finding.parts if part.decides]


def test_drops_that_break_symmetries_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 13
    assert len(deciding(finding)) == 4
    assert dict(finding.excluded) == {"no distances over time": 26}


@pytest.mark.parametrize("kind", ["norm", "late"])
def test_drops_that_follow_the_norm_are_refuted(claims, plant, kind):
    finding = judge(claims, plant, kind=kind)
    assert finding.verdict is Verdict.REFUTED
    assert deciding(finding)[0].effect < 0


@pytest.mark.parametrize("kind", ["both", "random"])
def test_events_that_any_growing_network_has_are_no_support(claims, plant, kind):
    assert judge(claims, plant, kind=kind).verdict is not Verdict.SUPPORTED


def test_planted_causes_are_told_apart():
    for kind in TRUE:
        assert kind_rates(ROOT, kind, 20).supported > 0.7, kind
    for kind in ("both", "norm", "late", "random"):
        assert kind_rates(ROOT, kind, 20).supported <= 0.1, kind


def test_pairs_that_are_broken_from_the_start_are_no_evidence(claims, plant):
    def broken(run, row):
        for probe in row.get("layers", ()):
            if probe["step"] == 0 and run.cell.model.init_scale == 0.15:
                probe["pair_distance_90"] = 1.0
        return row

    finding = judge(claims, plant, broken)
    assert dict(finding.excluded)["broken from the start"] == 13
    assert finding.verdict is Verdict.SUPPORTED


def test_networks_that_do_not_learn_are_no_evidence(claims, plant):
    def flat(run, row):
        return row | {"train_loss": row["history"][0]["train_loss"]} if row else row

    finding = judge(claims, plant, flat)
    assert finding.verdict is Verdict.UNTESTED
    assert dict(finding.excluded)["has not halved its loss"] == 39


def test_a_network_that_learns_and_breaks_nothing_speaks_against_the_claim(claims, plant):
    def whole(run, row):
        names = [name for name in row if name.startswith("pair_distance")]
        for probe in row.get("layers", ()):
            probe.update(dict.fromkeys(names, 0.0))
        return row | dict.fromkeys(names, 0.0)

    finding = judge(claims, plant, whole)
    assert finding.verdict is Verdict.REFUTED
    assert deciding(finding)[0].effect == -1


def test_a_norm_that_was_not_recorded_is_no_evidence(claims, plant):
    def without(run, row):
        for probe in row.get("history", ()):
            del probe["theta_norm"]
        return {name: value for name, value in row.items() if name != "theta_norm"}

    finding = judge(claims, plant, without)
    assert finding.verdict is Verdict.UNTESTED
    assert dict(finding.excluded)["no norm of the network over time"] == 39


def test_two_seeds_are_no_evidence(claims, plant):
    def few(run, row):
        return row if run.seed < 2 else {"outcome": "diverged"}

    finding = judge(claims, plant, few)
    assert finding.verdict is Verdict.UNTESTED
    assert dict(finding.excluded)["did not end as planned"] == 33


def test_placebos_cross_as_many_levels_as_there_are_events(claims):
    from analysis.shared.jumps import placebo_events

    steps = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    norms = np.array([1.0, 2.0, 3.0, 5.0, 9.0])
    assert placebo_events(steps, norms, 4).tolist() == [2, 8, 16, 16]
    assert placebo_events(steps, np.log(norms), 4).tolist() == [2, 4, 8, 16]
    assert placebo_events(steps, np.ones(5), 4).tolist() == []


def test_events_at_the_drops_are_nearer_and_faster_than_any_placebo(claims):
    from analysis.shared.jumps import nearness, speed_contrast

    losses = np.exp(-3.0 * (STEPS > 500))
    norms = 1.0 + np.log(STEPS)
    (drop,) = STEPS[STEPS > 500][:1]
    assert nearness(STEPS, losses, norms, np.full(4, drop)) == 1
    assert speed_contrast(STEPS, losses, norms, np.full(4, drop)) == 1
    away = crossings(np.log(STEPS))
    assert np.isnan(nearness(STEPS, losses, norms, away)), "a tie speaks for neither"


def test_the_figure_has_the_losses_and_the_contrasts_with_the_verdict(claims, plant):
    from analysis.shared.jumps import CONTRASTS
    from symstudy.plots.figures import figure_files, theme

    claim = claims["learning_jumps"]
    with theme():
        figure = claim.draw(claim.measure(plant("learning_jumps", jumping)))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) == {
        *(f"tanh, start {scale:g}" for scale in (0.1, 0.12, 0.15)),
        *(f"{value} tanh: supported" for value in CONTRASTS),
    }
    breaks = figure.drawn[figure.drawn["mark"] == "pairs break"]
    assert (breaks.groupby("panel").size() == 20).all()
