"""Planted networks of four hidden layers; digits stand for images, since they are always there."""

import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import count_verdicts, judge_store
from symstudy.testing.stores import plant_store

NAME = "layer_hierarchy"
LAYERS = 4
FOLLOWS = "correlation over layers of broken pairs and effective rank at data = digits"
FALLS = "correlation over layers of broken pairs and depth at data = digits"


@pytest.fixture
def plant_layers(tmp_path, request):
    """Plant what a function of the generator gives: pairs and ranks of each layer, and a run's."""
    settings = ('data.kind=["digits"]', "data.samples=1400", "seed=12")
    study = load_study(request.config.rootpath / "studies" / f"{NAME}.toml", overrides=settings)

    def make(measures_of, repeat=0, **run):
        rng = np.random.default_rng([repeat, 77])
        return plant_store(
            tmp_path / str(repeat), study, lambda each: row_of(each, *measures_of(rng), **run)
        )

    return make


def row_of(run, pairs, ranks, **changes):
    """Return the row of a run, with its layers: as many distinct neurons as at a fifth."""
    steps = run.cell.train.steps
    rows = []
    for step in (steps // 5, steps):
        for place in range(LAYERS):
            count = round(pairs[place])
            rows.append({
                "step": step, "layer": place + 1, "breaking_sorted_absolute": count,
                "breaking_sorted": count, "distinct_neurons": count, "neurons": 64,
                "product_rank": LAYERS - place, "rank": LAYERS - place, "max_norm": 1.0,
                "effective_rank": float(ranks[place]),
            })  # fmt: skip
    first = {key: value for key, value in rows[LAYERS].items() if key not in ("step", "layer")}
    return {
        **first, "test_accuracy": 0.9, "trivial_accuracy": 0.1, "test_loss": 0.4,
        "train_accuracy": 1.0,
        "trivial_loss": 2.3, "decay_budget": 30.0, "grad_ratio": 1e-3,
        "history": [{"step": steps // 5, "decay_budget": 6.0}],
        "layers": [*rows[:LAYERS], *rows[LAYERS + 1 :]],
        **changes,
    }  # fmt: skip


def together(rng, noise=1.0):
    """Pairs and ranks that fall from layer to layer."""
    return np.array([55, 40, 30, 20]) + noise * rng.normal(size=4), np.array([20, 9, 6, 4])


def ordered(run, rng):
    """Return the row of a run in which the claim is true."""
    return row_of(run, *together(rng))


def opposite(rng):
    """Pairs that grow from layer to layer while ranks fall."""
    pairs, ranks = together(rng)
    return pairs[::-1], ranks


def apart(rng):
    """Pairs that fall, and ranks that do not follow."""
    return together(rng)[0], np.array([4, 6, 9, 20])


def nothing(rng):
    """Pairs and ranks without an order."""
    return rng.permutation([55, 40, 30, 20]), rng.permutation([20, 9, 6, 4])


def test_pairs_and_ranks_that_fall_together_are_supported(claims, plant_layers):
    finding = judge_store(claims[NAME], plant_layers(together))
    assert finding.verdict is Verdict.SUPPORTED
    assert (finding.effect, finding.seeds) == (1.0, 12)
    assert finding.part(FALLS).effect == -1.0


def test_pairs_that_grow_while_ranks_fall_are_refuted(claims, plant_layers):
    finding = judge_store(claims[NAME], plant_layers(opposite))
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == -1.0


def test_a_hierarchy_that_ranks_do_not_follow_is_refuted_by_that_part_alone(claims, plant_layers):
    finding = judge_store(claims[NAME], plant_layers(apart))
    assert finding.verdict is Verdict.REFUTED
    assert finding.part(FOLLOWS).verdict is Verdict.REFUTED
    assert finding.part(FALLS).verdict is Verdict.SUPPORTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(2, 0), pytest.param(40, 2, marks=pytest.mark.slow)])
def test_layers_without_an_order_are_seldom_supported(claims, plant_layers, repeats, most):
    found = count_verdicts(claims[NAME], lambda k: plant_layers(nothing, k), repeats)
    assert found[Verdict.SUPPORTED] <= most


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"train_accuracy": 0.9}, "fits fewer than 98% of its training images"),
        ({"decay_budget": 3.0}, "decay budget below 6"),
    ],
)
def test_runs_that_did_not_fit_their_images_or_were_not_decayed_are_no_evidence(
    claims, plant_layers, changes, why
):
    finding = judge_store(claims[NAME], plant_layers(together, **changes))
    assert finding.verdict is Verdict.UNTESTED
    assert (why, 12) in finding.excluded


def test_a_count_at_its_ceiling_in_every_layer_is_no_evidence(claims, plant_layers):
    flat = lambda rng: (np.full(4, 63), together(rng)[1])  # noqa: E731
    finding = judge_store(claims[NAME], plant_layers(flat))
    assert finding.verdict is Verdict.UNTESTED
    assert ("as many pairs are broken in every layer", 12) in finding.excluded


def test_the_figure_shows_each_measure_against_the_layer(claims, plant_layers):
    from symstudy.plots.figures import figure_files, theme

    claim = claims[NAME]
    with theme():
        figure = claim.draw(claim.measure(plant_layers(together)))
        files = figure_files(figure, {})
    drawn = figure.drawn.set_index("panel")
    assert list(drawn.loc["ranks", "layer"]) == [1, 2, 3, 4]
    assert list(drawn.loc["ranks", "median"]) == [20, 9, 6, 4]
    assert b"<svg" in files["svg"]
