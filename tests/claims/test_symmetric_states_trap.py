import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def trapped(run, rng, sgd_gains=0, adam_gains=3, copies_gain=0, seen=1.0):
    """Copies are kept; a low rank is kept by SGD and left by Adam."""
    model, train = run.cell.model, run.cell.train
    is_sgd = train.optimizer.kind == "sgd"
    blocks = model.width // model.init_copies
    neurons = blocks + copies_gain if model.init_copies > 1 else round(seen * model.width)
    rank = 8
    if model.init_rank and model.activation == "linear":
        # Beyond 300 steps round-off has grown.
        gains = sgd_gains if is_sgd and train.steps <= 300 else adam_gains
        rank = model.init_rank + gains
    values = {"distinct_exact": neurons, "product_rank_exact": rank}
    return {
        **values,
        "product_rank": rank,
        # Of a linear network there are no copies to compare with.
        "train_loss": 9.0
        if model.activation == "linear"
        else 0.4
        if model.init_copies > 1
        else 0.1,
        "layers": [{"step": 10, "layer": 1, **values}],
    }


RANK = "singular values gained at kind = low rank, method = "
COPIES = "neurons gained at kind = copies, method = "
CONTROL = "distinct neurons at kind = as drawn"


def judge(claims, plant, seeds=None, **options):
    store = plant(
        "symmetric_states_trap", lambda run, rng: trapped(run, rng, **options), seeds=seeds
    )
    return judge_store(claims["symmetric_states_trap"], store)


def test_planted_traps_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == 3.0
    beyond = "singular values gained at kind = low rank, many steps, method = SGD"
    cost = "cost of copies, ln loss at kind copies less that at as drawn"
    assert finding.part(beyond).effect == 3.0
    assert finding.part(cost).effect == pytest.approx(1.386, abs=1e-3)
    assert not finding.part(beyond).decides


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"copies_gain": 1}, COPIES + "SGD"),
        ({"sgd_gains": 1}, RANK + "SGD"),
        ({"adam_gains": 0}, RANK + "adaptive"),
        ({"seen": 0.5}, CONTROL),
    ],
)
def test_a_wrong_part_refutes(claims, plant, options, name):
    finding = judge(claims, plant, seeds=8, **options)
    assert finding.verdict is Verdict.REFUTED
    assert finding.part(name).verdict is Verdict.REFUTED


def test_one_run_that_leaves_refutes(claims, plant):
    def measures(run, rng):
        leaves = (
            run.seed == 3 and run.cell.train.gamma > 0 and run.cell.train.value("momentum", 0.0) > 0
        )
        return trapped(run, rng, sgd_gains=int(leaves))

    finding = judge_store(claims["symmetric_states_trap"], plant("symmetric_states_trap", measures))
    assert finding.verdict is Verdict.REFUTED


def test_runs_that_failed_are_no_evidence(claims, plant):
    store = plant("symmetric_states_trap", lambda run, rng: {"outcome": "error"})
    finding = judge_store(claims["symmetric_states_trap"], store)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("did not end as planned", 840),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(15, 2, marks=pytest.mark.slow)])
def test_adam_that_leaves_now_and_then_is_seldom_supported(claims, plant, repeats, most):
    def null(repeat):
        return plant(
            "symmetric_states_trap",
            lambda run, rng: trapped(run, rng, adam_gains=int(rng.integers(0, 3))),
            repeat,
        )

    # One direction in the mean, which is the margin.
    counts = count_verdicts(claims["symmetric_states_trap"], null, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_the_figure_has_a_panel_for_every_part(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["symmetric_states_trap"]
    with theme():
        figure = claim.draw(claim.measure(plant("symmetric_states_trap", trapped)))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert {RANK + "SGD", RANK + "adaptive", COPIES + "SGD", CONTROL} <= set(figure.drawn["panel"])
