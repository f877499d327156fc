import math

import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import judge_store
from symstudy.testing.searches import plant_search

NAME = "replicate_where_undecided"


@pytest.fixture
def study(root):
    return load_study(root / "studies" / f"{NAME}.toml")


@pytest.fixture
def replicate(tmp_path, study):
    def make(mean, spread=0.2, repeat=0, rounds=None, grad_ratio=lambda run: 1e-9):
        def measures(run):
            rng = np.random.default_rng([repeat, int(run.run_id, 16)])
            teacher = run.cell.data.teacher_width
            return {
                "distinct_neurons": teacher * (mean(run) + spread * rng.normal()),
                "grad_ratio": grad_ratio(run),
            }

        return plant_search(tmp_path / str(repeat), study, measures, rounds=rounds)

    return make


def cell_of(run):
    return run.cell.data.teacher_width, run.cell.train.gamma


def seeds_by_cell(store):
    rows = store.sql("select teacher_width, gamma, count(*) from runs group by all").rows
    return {(teacher, gamma): count for teacher, gamma, count in rows}


def test_means_within_the_range_are_supported_and_seeds_go_where_it_is_close(claims, replicate):
    store = replicate(lambda run: 1.12 if cell_of(run) == (4, 0.01) else 1.0)
    finding = judge_store(claims[NAME], store)
    assert finding.verdict is Verdict.SUPPORTED
    seeds = seeds_by_cell(store)
    assert seeds.pop((4, 0.01)) > max(seeds.values())
    assert sum(seeds.values()) <= 11 * 40


def test_a_mean_outside_refutes(claims, replicate):
    finding = judge_store(
        claims[NAME], replicate(lambda run: 1.6 if cell_of(run) == (8, 0.1) else 1.0)
    )
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(1.6, abs=0.3)
    refuted = [part for part in finding.parts if part.verdict is Verdict.REFUTED]
    # Refuted by any of twelve, each with a twelfth of the error.
    p_value = finding.p_value or math.nan
    assert p_value == pytest.approx(12 * min(part.p_value or math.nan for part in refuted))
    assert p_value <= 0.05


def test_claim_and_search_judge_by_the_same_looks(claims, study, replicate):
    config = study.search.config
    store = replicate(lambda run: 1.0 + 0.02 * run.cell.data.teacher_width)
    finding = judge_store(claims[NAME], store)
    seeds = sorted(seeds_by_cell(store).values())
    # A combination is decided with exactly the seeds that it was given.
    assert sorted(part.seeds for part in finding.parts) == seeds
    assert (config.low, config.high, config.alpha) == (0.75, 1.25, 0.05)
    assert finding.threshold == "0.75 to 1.25"


def test_runs_that_have_not_converged_are_no_evidence(claims, replicate):
    store = replicate(lambda run: 1.0, grad_ratio=lambda run: 1e-3)
    finding = judge_store(claims[NAME], store)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 12 * 160),)


def test_a_look_counts_once_all_of_its_seeds_have_ended(claims, replicate):
    store = replicate(lambda run: 1.2, rounds=2)
    finding = judge_store(claims[NAME], store)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert {part.seeds for part in finding.parts} <= {5, 10}


# Of the search alone, and of its looks, test_replication.py and test_sequential.py hold it.
@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.slow
def test_means_at_the_margin_are_decided_as_seldom_as_the_level_says(claims, replicate):
    repeats, wrong = 5, 0
    for repeat in range(repeats):
        finding = judge_store(claims[NAME], replicate(lambda run: 1.25, repeat=repeat))
        # Whatever is decided of a mean exactly at the margin is wrong.
        wrong += any(part.verdict is not Verdict.INCONCLUSIVE for part in finding.parts)
    assert wrong <= 0.05 * repeats + 3 * math.sqrt(0.05 * 0.95 * repeats)


def test_the_figure_has_every_combination(claims, replicate):
    from symstudy.plots.figures import figure_files, theme

    measured = claims[NAME].measure(replicate(lambda run: 1.1))
    with theme():
        figure = claims[NAME].draw(measured)
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert figure.drawn["panel"].value_counts().to_dict() == {"ratio": 12, "seeds": 12}
