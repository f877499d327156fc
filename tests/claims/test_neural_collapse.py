import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import count_verdicts, judge_store
from symstudy.testing.stores import plant_store

NAME = "neural_collapse"


TRUTH = {
    "gain": 0.3,
    "dose": 0.4,
    "gap": -0.3,
    "noise": 0.03,
    "errors": False,
    "merged": 0.5,
    "kept": 1.0,
    "lost": 0.0,
}
"""What removing symmetry does to ln NC1 at gamma = 1e-3, and per factor e^2 of gamma; to the ln of
the eigengap; the shares of distinct neurons with and without it; the accuracy lost."""
BLOCKS = np.where(np.arange(20)[:, None] // 10 == np.arange(20) // 10, 0.9, -0.1)


def collapsing(run, rng, **changed):
    """Plant pairs with and without symmetry."""
    truth = {**TRUTH, **changed}
    train = run.cell.train
    removed = train.syre > 0
    nc1, eigengap = truth["noise"] * rng.normal(size=2)
    if removed:
        nc1 += truth["gain"] + truth["dose"] * np.log(train.gamma / 1e-3) / 2
        eigengap += truth["gap"]
    return {
        "nc1": 0.1 * np.exp(nc1),
        "nc1_trace": 0.05 * np.exp(nc1),
        "nc2": 0.5 * np.exp(0.1 * nc1),
        "nc3": 0.1 * np.exp(0.1 * nc1),
        "feature_effective_rank": 9.0 * np.exp(0.1 * nc1),
        "feature_eigengap": 20.0 * np.exp(eigengap),
        "feature_eigengap_centred": 20.0 * np.exp(eigengap),
        "feature_spectrum": 0.5 ** np.arange(24),
        "feature_correlation": BLOCKS.ravel(),
        "zero_error_steps": 0 if truth["errors"] else train.steps // 2,
        "test_accuracy": 0.8 - truth["lost"] * removed,
        "distinct_neurons": 64 * truth["kept" if removed else "merged"],
        "neurons": 64,
        "max_norm": 1.0,
        "decay_budget": 16.0,
    }


def judge(claims, plant, seeds=None, **options):
    store = plant(NAME, lambda run, rng: collapsing(run, rng, **options), seeds=seeds)
    return judge_store(claims[NAME], store)


def test_less_collapse_without_symmetry_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED, finding.reason
    assert finding.seeds >= 10
    (least, most) = (part for part in finding.parts if part.name.startswith("ln NC1 at"))
    assert least.effect == pytest.approx(0.3 + 0.2 * np.log(2.0), abs=0.05)
    assert most.effect == pytest.approx(0.3 + 0.2 * np.log(5.0), abs=0.05)


@pytest.mark.parametrize(
    "change",
    [{"gain": -0.3}, {"gain": -0.05, "dose": 0.0}, {"gap": 0.3}, {"dose": -0.6, "gain": 0.9}],
)
def test_no_less_collapse_a_larger_gap_or_a_falling_dose_refutes(claims, plant, change):
    assert judge(claims, plant, **change).verdict is Verdict.REFUTED


@pytest.mark.parametrize("change", [{"merged": 1.0}, {"kept": 0.8}, {"lost": 0.05}])
def test_without_its_conditions_the_claim_is_open(claims, plant, change):
    assert judge(claims, plant, gain=-0.3, **change).verdict is Verdict.INCONCLUSIVE


def test_runs_with_an_error_left_are_no_evidence(claims, plant):
    finding = judge(claims, plant, errors=True)
    assert finding.verdict is Verdict.UNTESTED
    ((why, count), *_) = finding.excluded
    assert why == "a training image was wrong in the last quarter of the steps"
    assert count == 48


def test_runs_that_decay_had_no_time_to_act_on_are_no_evidence(claims, plant):
    def measures(run, rng):
        return {**collapsing(run, rng), "decay_budget": 3.0}

    finding = judge_store(claims[NAME], plant(NAME, measures))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded[0][0] == "decay budget below 6"


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(40, 5, marks=pytest.mark.slow)])
def test_no_effect_at_the_margin_is_seldom_supported(claims, plant, repeats, most):
    edge = {"gain": np.log(1.05), "dose": 0.0, "gap": 0.0, "noise": 0.2}

    def stores(repeat):
        return plant(NAME, lambda run, rng: collapsing(run, rng, **edge), repeat)

    assert count_verdicts(claims[NAME], stores, repeats)[Verdict.SUPPORTED] <= most


def test_the_largest_of_several_strengths_of_syre_is_compared(claims, tmp_path, root):
    study = load_study(
        root / "studies" / f"{NAME}.toml", overrides=("train.syre=[0.0, 0.05, 0.3]",)
    )
    rng = np.random.default_rng(0)

    def measures(run):
        weak = run.cell.train.syre == 0.05
        row = collapsing(run, rng)
        return {**row, "nc1_trace": row["nc1_trace"] * (0.01 if weak else 1.0)}

    finding = judge_store(claims[NAME], plant_store(tmp_path, study, measures))
    assert finding.verdict is Verdict.SUPPORTED


def test_the_figure_has_both_arms_spectra_and_what_decides(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant(NAME, collapsing)))
        files = figure_files(figure, {})
    panels = set(figure.drawn["panel"])
    assert {"with symmetry", "without symmetry", "spectrum"} < panels
    blocks = figure.drawn[figure.drawn["panel"] == "with symmetry"]
    same = blocks[blocks["first"] == blocks["second"]]
    assert same["value"].to_numpy() == pytest.approx(0.9)
    assert b"<svg" in files["svg"]


def test_the_figure_of_runs_that_are_no_evidence_says_so(claims, plant):
    from symstudy.plots.figures import theme

    with theme():
        store = plant(NAME, lambda run, rng: collapsing(run, rng, errors=True))
        claims[NAME].draw(claims[NAME].measure(store))
