import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import judge_store
from symstudy.testing.searches import plant_search

NAME = "falsify_quantization"


def planted(place, study, ratio, **others):
    """Plant a hunt whose distances are `ratio` of gamma; `others` win over the other columns."""

    def measures(run):
        gamma = run.cell.train.gamma
        noise = np.random.default_rng(int(run.run_id, 16)).normal()
        return {
            "distinct_neurons": 4,
            "min_distance": gamma * ratio(run) * np.exp(0.05 * abs(noise)),
            "max_norm": 1.0,
            "squared_norm": 4.0,
            "grad_ratio": 1e-9 if run.cell.train.tolerance > 1e-10 else 1e-11,
            "merge_gain": 1e-15,
            **{name: value(run) for name, value in others.items()},
        }

    return plant_search(place, study, measures)


@pytest.fixture(scope="module")
def study(pytestconfig):
    # Random points: what is planted here is not worth learning.
    return load_study(
        pytestconfig.rootpath / "studies" / f"{NAME}.toml",
        overrides=["search.method=random", "search.seed=1"],
    )


@pytest.fixture
def hunt(study, tmp_path):
    """Plant a hunt of a test's own."""
    return lambda ratio, **others: planted(tmp_path, study, ratio, **others)


@pytest.fixture(scope="module")
def violated(study, tmp_path_factory):
    """A hunt that finds a violation, planted once."""
    place = tmp_path_factory.mktemp("violated")
    return planted(place, study, lambda run: 0.05 if is_close(run) else 0.5)


@pytest.fixture(scope="module")
def held(study, tmp_path_factory):
    """A hunt that finds none, planted once."""
    return planted(tmp_path_factory.mktemp("held"), study, lambda run: 0.1)


def is_close(run):
    return run.cell.train.gamma > 0.1 and run.cell.model.activation == "tanh"


def test_a_planted_violation_is_found_confirmed_and_refutes(claims, violated):
    finding = judge_store(claims[NAME], violated)
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(0.05, rel=0.05)
    assert finding.part("tanh").verdict is Verdict.REFUTED
    assert finding.part("silu").verdict is Verdict.SUPPORTED
    assert "120 of 120 new ones" in finding.part("tanh").note


def test_no_violation_is_supported(claims, held):
    finding = judge_store(claims[NAME], held)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.excluded == ()


def test_a_find_that_only_its_own_seed_shows_does_not_count(claims, hunt):
    store = hunt(lambda run: 0.05 if is_close(run) and run.seed < 5 else 0.5)
    finding = judge_store(claims[NAME], store)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "15 of 15 old seeds and 0 of 120 new ones" in finding.part("tanh").note


def test_a_find_that_is_gone_at_higher_precision_does_not_count(claims, hunt):
    def ratio(run):
        return 0.05 if is_close(run) and run.cell.train.tolerance > 1e-10 else 0.5

    assert judge_store(claims[NAME], hunt(ratio)).verdict is Verdict.INCONCLUSIVE


BROKEN = {
    "grad_ratio": (1e-9, 1e-5, "gradient not small enough"),
    "merge_gain": (1e-15, 1e-6, "a merge lowers the objective"),
    "max_norm": (1.0, 1e-5, "fewer than two living neurons"),
}
"""Of each column, its value at a living minimum, another value, and what is told of that."""


def test_what_is_no_living_minimum_is_no_evidence(claims, hunt):
    def ratio(run):
        return 0.01 if run.cell.train.gamma > 0.9 else 0.5

    def certificate(place, good, bad):
        # Each run that would refute the claim is wrong in one way, another by its seed.
        return lambda run: bad if ratio(run) < 0.1 and run.seed % 3 == place else good

    others = {
        column: certificate(place, good, bad)
        for place, (column, (good, bad, _)) in enumerate(BROKEN.items())
    }
    finding = judge_store(claims[NAME], hunt(ratio, **others))
    assert finding.verdict is Verdict.SUPPORTED
    assert {why for _, _, why in BROKEN.values()} <= set(dict(finding.excluded))


def test_a_hunt_that_does_not_converge_decides_nothing(claims, hunt):
    finding = judge_store(
        claims[NAME], hunt(lambda run: 0.5, grad_ratio=lambda run: 1e-9 if run.seed < 3 else 1.0)
    )
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_theorems_are_reported_beside(claims, held):
    finding = judge_store(claims[NAME], held)
    reported = {part.name.split(" ")[0]: part for part in finding.parts if not part.decides}
    assert set(reported) == {"count", "least", "minima"}
    assert reported["least"].effect == pytest.approx(0.1, rel=1e-2)
    assert all(part.verdict is Verdict.INCONCLUSIVE for part in reported.values())


def test_the_figure_has_hunts_and_finds(claims, violated):
    from symstudy.plots.figures import figure_files, theme

    measured = claims[NAME].measure(violated)
    with theme():
        figure = claims[NAME].draw(measured)
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) == {"hunt", "again"}
