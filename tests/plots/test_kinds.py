"""Figures of every other kind: what they draw of planted results, and what they refuse."""

from typing import Any

import numpy as np
import pytest

from symstudy.errors import QueryError

GAMMAS = [0.0, 0.001, 0.1]
WIDTHS = [8, 16, 32, 64]


def words_in(plot):
    """Return all that a figure says."""
    texts = [t.get_text() for t in plot.figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return " ".join(texts).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_a_grid_has_a_panel_a_value_with_the_same_axes_and_letters(planted):
    plot = planted().plot.grid(x="width", y="test_loss", facet="gamma")
    panels = plot.figure.axes
    assert len(panels) == len(GAMMAS)
    assert len({panel.get_ylim() for panel in panels}) == 1
    titles = [panel.get_title(loc="left") for panel in panels]
    assert [title.split("}")[0][-1] for title in titles] == ["a", "b", "c"]
    assert len(plot.drawn) == len(GAMMAS) * len(WIDTHS)


def test_a_grid_of_too_many_panels_is_refused(planted):
    store = planted(**{"train.gamma": [0.001 * k for k in range(17)], "model.width": [4, 8]})
    with pytest.raises(QueryError, match="at most 16 panels"):
        store.plot.grid(x="width", y="test_loss", facet="gamma")


def test_a_colour_means_one_value_in_all_panels(planted):
    store = planted()
    where = "not (gamma = 0 and width = 8)"
    plot = store.plot.grid(x="step", y="test_loss", by="width", facet="gamma", where=where)
    first, second = plot.figure.axes[:2]
    colors = [
        {bar.get_label(): bar[0].get_color() for bar in panel.containers}
        for panel in (first, second)
    ]
    shared = set(colors[0]) & set(colors[1])
    assert len(shared) == 3
    assert all(colors[0][name] == colors[1][name] for name in shared)


def test_curves_are_means_at_every_probe(planted):
    plot = planted().plot.curves(y="test_loss", by="width", where="gamma = 0")
    assert sorted(plot.drawn["step"].unique()) == [0, 5, 10, 20]
    assert set(plot.drawn["seeds"]) == {3}
    assert len(plot.figure.axes[0].containers) == len(WIDTHS)


def test_curves_without_a_swept_axis_are_refused(planted):
    with pytest.raises(QueryError, match="--by width"):
        planted().plot.curves(y="test_loss", by="gamma")


def test_every_seed_has_its_line(planted):
    plot = planted().plot.seeds(x="width", y="test_loss", by="gamma")
    lines = plot.figure.axes[0].lines
    assert len(lines) == 3 * 3 + 3
    assert len(plot.drawn[plot.drawn["panel"] == "seeds"]) == 36
    assert "with 95" not in words_in(plot)


def test_a_heat_map_hatches_where_runs_failed_and_counts_them(planted):
    def measures(run):
        failed = run.cell.model.width == 8 and run.cell.train.gamma == 0
        return {"outcome": "diverged"} if failed else {"test_loss": float(run.cell.model.width)}

    plot = planted(measures).plot.heatmap(x="width", y="gamma", color="test_loss")
    (hatched,) = [patch for patch in plot.figure.axes[0].patches if patch.get_hatch()]
    assert hatched.get_xy() == (0, 0)
    assert "3 diverged" in words_in(plot)
    assert "Hatched: planned" in words_in(plot)
    assert len(plot.drawn) == len(WIDTHS) * len(GAMMAS) - 1
    labels = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert labels == ["0", "0.001", "0.1"]


def test_what_matters_is_more_important_than_what_does_not(planted):
    def measures(run):
        return {"test_loss": run.cell.model.width + 0.01 * run.seed}

    plot = planted(measures, seed=10).plot.importance(y="test_loss", quantile=0.2)
    shares = plot.drawn.set_index("column")["share"]
    assert shares["width"] > 0.99
    highest = planted(measures, seed=10).plot.importance(y="test_loss", best="highest")
    assert highest.note["options"]["best"] == "highest"
    with pytest.raises(QueryError, match="lowest or highest"):
        planted().plot.importance(y="test_loss", best="last")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        pytest.param(lambda width: 0.5, "", id="equal values"),
        pytest.param(float, "width = 8 and gamma = 0", id="one cell"),
    ],
)
def test_importance_of_what_does_not_vary_is_refused(value, where, planted):
    results = planted(lambda run: {"test_loss": value(run.cell.model.width)})
    with pytest.raises(QueryError, match="do not. Name others"):
        results.plot.importance(y="test_loss", where=where)


def test_the_colour_bar_of_one_value_says_that_value(planted):
    plot = planted(lambda run: {"test_loss": 0.44}).plot.heatmap(
        x="width", y="gamma", color="test_loss"
    )
    _, bar = plot.figure.axes
    assert bar.get_yticks().tolist() == [0.44]


def test_importance_ranks_as_optuna_does(planted):
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def value(width, gamma):
        return np.log2(width) + 10 * gamma

    store = planted(
        lambda run: {"test_loss": value(run.cell.model.width, run.cell.train.gamma)}, seed=8
    )
    ours = store.plot.importance(y="test_loss", quantile=0.2).drawn.set_index("column")["share"]
    study = optuna.create_study()
    space: dict[str, Any] = {
        "width": optuna.distributions.CategoricalDistribution(WIDTHS),
        "gamma": optuna.distributions.CategoricalDistribution(GAMMAS),
    }
    for width in WIDTHS:
        for gamma in GAMMAS:
            for _ in range(8):
                study.add_trial(
                    optuna.trial.create_trial(
                        params={"width": width, "gamma": gamma},
                        distributions=space,
                        value=value(width, gamma),
                    )
                )
    theirs = PedAnovaImportanceEvaluator(target_quantile=0.2).evaluate(study)
    total = sum(theirs.values())
    assert ours["width"] == pytest.approx(theirs["width"] / total, abs=0.1)


def test_parallel_coordinates_have_a_line_a_cell(planted):
    plot = planted().plot.parallel(color="test_loss")
    (lines,) = plot.figure.axes[0].collections
    assert len(lines.get_segments()) == len(WIDTHS) * len(GAMMAS)
    assert {"width", "gamma", "value", "seeds"} <= set(plot.drawn.columns)
    with pytest.raises(QueryError, match="two axes or more"):
        planted().plot.parallel(color="test_loss", x="width")


def test_a_study_without_claims_has_default_figures(planted):
    from symstudy.findings.default_figures import draw_defaults, read_defaults

    store = planted(**{"model.width": [8, 16]})
    (folder,) = store.folders
    names = {path.rsplit("/", 1)[-1] for path in draw_defaults(folder)}
    assert {"default-test_loss.svg", "default-test_loss.csv", "default-mean_rank.json"} <= names
    kept = read_defaults(folder, store.fingerprint)
    assert [figure.is_stale for figure in kept] == [False, False]
    assert all(b"<svg" in figure.svg for figure in kept)


def test_what_cannot_be_drawn_by_default_is_left_to_the_kinds(planted):
    from symstudy.plots.defaults import default_plots

    assert default_plots(planted(**{"model.width": [8], "train.gamma": [0.0]}).plot) == []
