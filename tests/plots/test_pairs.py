"""The figure of runs that were compared in pairs: what is drawn is what was planted."""

import numpy as np
import pytest
from scipy import stats

from symstudy.errors import QueryError, UnknownNameError
from symstudy.study import make_study
from symstudy.testing.stores import plant_store

DEPTHS = (1, 2)
SEEDS = 4


def make(between=("model.width", "train.replica"), draws=200, **sweep):
    """Return a study of two widths, each pair of which is compared at two layers."""
    axes = {
        "zip": [["model.width", "train.replica"]],
        "model.width": [8, 16],
        "train.replica": [0, 1],
        "train.gamma": [0.0, 0.1],
        "seed": SEEDS,
        **sweep,
    }
    return make_study(
        {
            "schema": 1,
            "name": "twins",
            "title": "Twins",
            "model": {"kind": "fcn", "depth": 3},
            "data": {"kind": "digits"},
            "train": {"lr": 0.01, "batch_size": 20, "steps": 10},
            "sweep": axes,
            "probe": {"representations": 16},
            "pairs": {"between": list(between), "draws": draws, "measures": ["cka"]},
        }
    )


def planted_cka(pair, layer):
    """Return what is planted: less in the second layer and with weight decay, apart by seed."""
    return 0.9 - 0.2 * (layer - 1) - pair.first.cell.train.gamma + 0.01 * pair.first.seed


def rows_of(pair, permuted=0.05):
    """Return rows of every layer against every layer, at a probe amid and at the last one."""
    for is_last in (False, True):
        for one in DEPTHS:
            for other in DEPTHS:
                value = planted_cka(pair, one) if one == other and is_last else 0.111
                yield {
                    "step_a": 10 if is_last else 5,
                    "step_b": 10 if is_last else 5,
                    "is_last": is_last,
                    "layer_a": one,
                    "layer_b": other,
                    "cka": value,
                    "cka_permuted": permuted,
                    "cka_p": 0.005,
                }


def measures_of(run):
    return {"test_loss": 1.0 / run.cell.model.width}


def words_in(plot):
    texts = [t.get_text() for t in plot.figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return " ".join(texts).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_pairs_are_drawn_by_layer_as_means_over_seeds_beside_their_chance(tmp_path):
    store = plant_store(tmp_path, make(), measures_of, pairs_of=rows_of)
    plot = store.plot.pairs()
    drawn = plot.drawn.set_index(["kind", "layer"])
    assert len(drawn) == 2 * len(DEPTHS)
    kinds = sorted({kind for kind, _ in drawn.index})
    assert kinds == [r"$\gamma$ = 0", r"$\gamma$ = 0.1"]
    values = 0.9 - 0.2 - 0.1 + 0.01 * np.arange(SEEDS)
    point = drawn.loc[kinds[1], 2]
    margin = stats.t.ppf(0.975, SEEDS - 1) * values.std(ddof=1) / np.sqrt(SEEDS)
    assert point["mean"] == pytest.approx(values.mean(), abs=1e-6)
    assert point["low"] == pytest.approx(values.mean() - margin, abs=1e-6)
    assert (point["permuted"], point["seeds"], point["pairs"]) == (pytest.approx(0.05), SEEDS, 4)
    dashed = [line for line in plot.figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [np.asarray(line.get_ydata()).tolist() for line in dashed] == [
        [pytest.approx(0.05)] * 2
    ] * 2
    assert "Means over 4 seeds with 95 % t intervals" in words_in(plot)


def test_one_kind_of_pairs_is_told_by_both_of_its_settings(tmp_path):
    store = plant_store(tmp_path, make(), measures_of, pairs_of=rows_of)
    plot = store.plot.pairs(y="cka", where="gamma = 0")
    assert set(plot.drawn["kind"]) == {"width = 8 : 16, replica = 0 : 1"}


def test_pairs_of_different_seeds_share_runs_and_have_no_interval(tmp_path):
    study = make(["seed"], **{"zip": [], "model.width": [8], "train.replica": [0]})
    store = plant_store(tmp_path, study, measures_of, pairs_of=rows_of)
    plot = store.plot.pairs()
    assert "no interval" in words_in(plot)
    point = plot.drawn[plot.drawn["layer"] == 1].iloc[0]
    assert point["pairs"] == SEEDS * (SEEDS - 1) // 2
    assert point["low"] == pytest.approx(0.9, abs=1e-6)


def test_without_permutations_no_chance_is_drawn(tmp_path):
    def without(pair):
        return [{**row, "cka_p": None} for row in rows_of(pair, permuted=None)]

    store = plant_store(tmp_path, make(draws=0), measures_of, pairs_of=without)
    plot = store.plot.pairs()
    assert not [line for line in plot.figure.axes[0].lines if line.get_linestyle() == "--"]
    assert "Chance is not shown" in words_in(plot)


def test_a_study_of_pairs_has_a_default_figure_of_them(tmp_path):
    from symstudy.findings.default_figures import draw_defaults

    store = plant_store(tmp_path, make(), measures_of, pairs_of=rows_of)
    names = {path.rsplit("/", 1)[-1] for path in draw_defaults(store.folders[0])}
    assert {"default-pairs_cka.svg", "default-pairs_cka.csv", "default-test_loss.svg"} <= names


def test_what_cannot_be_drawn_says_what_to_type(tmp_path):
    study = make()
    (tmp_path / "without").mkdir()
    with pytest.raises(QueryError, match=r"Write \[pairs\] into the study file"):
        plant_store(tmp_path / "without", study, measures_of).plot.pairs()
    store = plant_store(tmp_path, study, measures_of, pairs_of=rows_of)
    with pytest.raises(UnknownNameError, match="'cka'"):
        store.plot.pairs(y="cla")
    with pytest.raises(QueryError, match="none of runs that are done"):
        store.plot.pairs(where="gamma > 1")
