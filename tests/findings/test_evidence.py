"""Which runs count, on a planted study."""

import pytest

from symstudy.findings import Evidence
from symstudy.findings.evidence import load
from symstudy.findings.rules.base import Need, read_data
from symstudy.testing.stores import plant_store


@pytest.fixture
def store(study_of, tmp_path):
    study = study_of(sweep={"model.width": [4, 8], "train.gamma": [0.0, 0.1], "seed": 3})

    def measures(run):
        if run.seed == 2:
            return {"outcome": "diverged"}
        budget = 3.0 if run.cell.model.width == 4 else 9.0
        return {"test_loss": run.seed + 1.0, "grad_ratio": 1e-9, "decay_budget": budget}

    return plant_store(tmp_path, study, measures)


def test_runs_left_out_are_counted_by_why(store):
    counted = load(store, Evidence().budget(6), ("width", "gamma"))
    assert counted.excluded == (("did not end as planned", 4), ("decay budget below 6", 2))
    assert len(counted.frame) == 6


def test_what_a_claim_is_not_about_is_not_told_of(store):
    counted = load(store, Evidence().where("width = 8").done(), ("width",))
    assert counted.excluded == (("did not end as planned", 2),)
    assert set(counted.frame["width"]) == {8}


def test_only_the_columns_that_are_asked_for_are_read(store):
    data = read_data(store, [Need(Evidence().done().at_largest("gamma"), ("test_loss",))])
    (query,) = store.queries
    assert "select seed, test_loss, gamma, coalesce(outcome = 'done', false)" in query
    assert list(data.rows(Evidence().done()).columns) == ["seed", "test_loss", "gamma"]


def test_selections_choose_among_what_counts(store):
    runs = Evidence().budget(6)
    largest = runs.at_largest("gamma").at_smallest("width")
    data = read_data(store, [Need(runs, ("width",)), Need(largest, ())])
    assert len(store.queries) == 1
    assert set(data.rows(largest)["width"]) == {8}
    assert set(data.rows(runs.above("gamma", 0).at("width", 4))["seed"]) == set()


def test_columns_can_be_defined_and_derived(store):
    runs = (
        Evidence()
        .done()
        .define(area="width * input_dim")
        .derive(double=lambda area: 2 * area)
    )  # fmt: skip
    frame = load(store, runs, ("area", "double")).frame
    assert (frame["double"] == 2 * frame["area"]).all()


def test_a_query_can_be_the_source(store):
    runs = Evidence().of("select seed, avg(test_loss) as loss from runs group by seed")
    assert len(load(store, runs.where("loss is not null"), ("loss",)).frame) == 2


def test_rows_of_a_group_become_one_row_with_numbers_made_of_all_of_them(store):
    runs = (
        Evidence()
        .budget(6)
        .derive(area=lambda width, input_dim: width * input_dim)
        .per("width", largest=lambda gamma, area: gamma.max() + 0 * area[0])
        .derive(double=lambda largest: 2 * largest)
    )
    counted = load(store, runs, ("double", "width"))
    assert counted.excluded == (("did not end as planned", 4), ("decay budget below 6", 2))
    assert set(zip(counted.frame["width"], counted.frame["seed"], strict=True)) == {
        *((width, seed) for width in (4, 8) for seed in (0, 1))
    }
    assert dict(zip(counted.frame["width"], counted.frame["double"], strict=True)) == {4: 0, 8: 0.2}


def test_groups_can_be_grouped_again(store):
    runs = Evidence().done().per("width", "gamma", loss=lambda test_loss: test_loss.mean())
    frame = load(store, runs.per(total=lambda loss: loss.sum()), ("total",)).frame
    assert frame.to_dict("list") == {"seed": [0, 1], "total": [4.0, 8.0]}


def test_no_rows_make_no_groups(store):
    runs = Evidence().where("false").per("width", loss=lambda test_loss: test_loss[0])
    assert list(load(store, runs, ("loss",)).frame.columns) == ["width", "seed", "loss"]


def test_a_run_of_which_no_gradient_is_known_has_not_converged(study_of, tmp_path):
    ratios = {0: 1e-9, 1: 1e-3, 2: None}
    study = study_of(sweep={"seed": 3})
    planted = plant_store(tmp_path, study, lambda run: {"grad_ratio": ratios[run.seed]})
    counted = load(planted, Evidence().converged(grad_ratio=1e-6), ("grad_ratio",))
    assert counted.frame["seed"].tolist() == [0]
    assert counted.excluded == (("gradient above 1e-06 of 1 + objective", 2),)


@pytest.fixture
def outcomes(study_of, tmp_path):
    """Return the seeds that an evidence keeps, of runs with measures given by seed."""

    def of(evidence, rows, columns=()):
        study = study_of(sweep={"seed": len(rows)})
        planted = plant_store(tmp_path, study, lambda run: rows[run.seed])
        return load(planted, evidence, columns)

    return of


def test_a_network_no_better_than_a_constant_answer_has_not_learned(outcomes):
    rows = [
        {"test_loss": 0.4, "trivial_loss": 1.0},
        {"test_loss": 0.6, "trivial_loss": 1.0},
        {"test_loss": 0.4, "trivial_loss": None},
        # In classification accuracy decides: 0.66 of ten classes leaves most errors.
        {"test_loss": 0.1, "trivial_loss": 1.0, "test_accuracy": 0.66, "trivial_accuracy": 0.1},
        {"test_loss": 0.9, "trivial_loss": 1.0, "test_accuracy": 0.95, "trivial_accuracy": 0.1},
    ]
    counted = outcomes(Evidence().learned(), rows)
    assert counted.frame["seed"].tolist() == [0, 4]
    assert counted.excluded == (("not clearly better than a constant answer", 3),)


def test_a_collapsed_network_is_no_evidence(outcomes):
    rows = [{"max_norm": norm, "distinct_neurons": 8} for norm in (1.0, 1e-9)]
    counted = outcomes(Evidence().alive(), rows)
    assert counted.frame["seed"].tolist() == [0]
    assert counted.excluded == (("a layer collapsed", 1),)


def test_a_distance_counts_with_a_gap_that_stands_still_or_at_a_minimum(outcomes):
    def row(last, early, grad_ratio=None):
        layer = {"distinct_neurons": 2, "neurons": 4}
        before = [{"step": 1, "layer": 1, **layer, "distance_gap": early}]
        return {**layer, "distance_gap": last, "grad_ratio": grad_ratio, "layers": before}

    rows = [row(0.5, 0.5), row(0.1, 0.5), row(0.1, 0.5, 1e-9), row(None, 0.5, 1e-9), row(0.5, None)]
    counted = outcomes(Evidence().separated(), rows)
    assert counted.frame["seed"].tolist() == [0, 2]


def test_a_setting_needs_most_of_its_runs(study_of, tmp_path):
    study = study_of(sweep={"train.gamma": [0.1, 0.2], "seed": 5})

    def measures(run):
        is_lost = run.seed < (2 if run.cell.train.gamma == 0.2 else 1)
        return {"outcome": "diverged" if is_lost else "done"}

    planted = plant_store(tmp_path, study, measures)
    counted = load(planted, Evidence().done().complete("gamma"), ("gamma",))
    assert set(counted.frame["gamma"]) == {0.1}
    why = "fewer than 80% of the runs with its gamma are evidence"
    assert counted.excluded == (("did not end as planned", 3), (why, 3))


def test_the_largest_value_may_need_places_of_another_column(study_of, tmp_path):
    study = study_of(sweep={"train.gamma": [0.1, 0.2], "model.width": [4, 8, 16], "seed": 1})

    def measures(run):
        is_lost = run.cell.train.gamma == 0.2 and run.cell.model.width == 16
        return {"outcome": "diverged" if is_lost else "done"}

    runs = Evidence().done()
    data = read_data(
        plant_store(tmp_path, study, measures),
        [Need(runs.at_largest("gamma", over="width", places=3), ("seed",))],
    )
    assert set(data.rows(runs.at_largest("gamma", over="width", places=3))["gamma"]) == {0.1}
    assert set(data.rows(runs.at_largest("gamma", over="width", places=2))["gamma"]) == {0.2}
