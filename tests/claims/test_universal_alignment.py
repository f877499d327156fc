"""The three claims of universal alignment, on planted pairs."""

import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import count_verdicts, judge_store
from symstudy.testing.stores import plant_store

EXACT = "universal_alignment"
IMAGES = "universal_alignment_images"
WIDTHS = "universal_alignment_widths"
TRUTH = {"noise": 0.97, "little": 0.6, "decay": 0.75, "singular": 0.55}


@pytest.fixture
def study_of(request):
    def load(name):
        # The pictures themselves are not needed for planted results.
        more = ["data.kind=digits", "data.samples=1400"] if name == IMAGES else []
        path = request.config.rootpath / "studies" / f"{name}.toml"
        if more:
            text = path.read_text(encoding="utf-8").replace("test_samples = 1000\n", "")
            path = request.getfixturevalue("tmp_path") / f"{name}.toml"
            path.write_text(text, encoding="utf-8")
        return load_study(path, overrides=more)

    return load


def arm_of(pair):
    first, second = pair.first.cell, pair.second.cell
    if second.data.input_rank:
        return "singular"
    if first.train.gamma:
        return "decay"
    return "noise" if first.train.lr > 0.01 else "little"


def exact(tmp_path, study, *, truth=TRUTH, universal=0.98, inputs=0.6, spread=0.01, repeat=0):
    """Plant the alignment of each arm, with noise, in layers 1 and 2 of each."""

    def measures(run):
        return {
            "universal_gram_cosine": universal,
            "input_gram_cosine": inputs,
            "test_loss": 0.1,
            "trivial_loss": 3.0,
        }

    def pairs(pair):
        rng = np.random.default_rng([repeat, pair.first.seed])
        value = truth[arm_of(pair)] + spread * rng.normal()
        row = {"step_a": 60000, "step_b": 60000, "is_last": True, "gram_cosine_p": 1 / 201}
        for layer, above in ((1, 0.0), (2, 0.01)):
            yield {**row, "layer_a": layer, "layer_b": 1, "gram_cosine": value + above}

    return plant_store(tmp_path / f"{repeat}", study, measures, pairs_of=pairs)


def middles(tmp_path, study, *, ends=None, start=0.4, inputs=0.6, chance=1 / 201, repeat=0):
    """Plant the alignment of middle layers, at the start and at the end, by activation."""
    ends = {"linear": 0.95, "tanh": 0.86} | (ends or {})

    def middle(run):
        return run.cell.model.depth // 2

    def measures(run):
        layer = {"step": run.cell.train.steps, "layer": middle(run), "input_cka": inputs}
        return {"layers": [layer], "test_accuracy": 0.9, "trivial_accuracy": 0.1}

    def pairs(pair):
        rng = np.random.default_rng([repeat, pair.first.seed])
        end = ends[getattr(pair.first.cell.model, "activation", "linear")] + 0.01 * rng.normal()
        layers = {"layer_a": middle(pair.first), "layer_b": middle(pair.first)}
        last = pair.first.cell.train.steps
        yield {"step_a": 0, "step_b": 0, "is_last": False, "cka": start, **layers}
        yield {
            "step_a": last,
            "step_b": last,
            "is_last": True,
            "cka": end,
            "cka_p": chance,
        } | layers
        # Other layers do not count.
        yield {"step_a": last, "step_b": last, "is_last": True, "cka": 0.1, "cka_p": 1.0} | {
            "layer_a": 1,
            "layer_b": 2,
        }

    return plant_store(tmp_path / f"{repeat}", study, measures, pairs_of=pairs)


def test_the_theorem_as_planted_is_supported(claims, study_of, tmp_path):
    finding = judge_store(claims[EXACT], exact(tmp_path, study_of(EXACT)))
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 10
    # The least of both rows, and of those of ten seeds the median.
    assert finding.effect == pytest.approx(0.97, abs=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"truth": TRUTH | {"noise": 0.9}},
        {"truth": TRUTH | {"little": 0.97}},
        {"truth": TRUTH | {"decay": 0.97}},
        {"truth": TRUTH | {"singular": 0.97}},
        {"universal": 0.9},
        {"inputs": 0.97},
    ],
)
def test_each_part_of_the_theorem_can_be_refuted(claims, study_of, tmp_path, options):
    finding = judge_store(claims[EXACT], exact(tmp_path, study_of(EXACT), **options))
    assert finding.verdict is Verdict.REFUTED
    assert sum(part.verdict is Verdict.REFUTED for part in finding.parts) == 1


def test_an_alignment_at_the_edge_is_seldom_supported(claims, study_of, tmp_path):
    study = study_of(EXACT)

    def at_edge(repeat):
        return exact(tmp_path, study, truth=TRUTH | {"noise": 0.95}, repeat=repeat)

    assert count_verdicts(claims[EXACT], at_edge, 8)[Verdict.SUPPORTED] <= 1


@pytest.mark.parametrize("name", [IMAGES, WIDTHS])
def test_middle_layers_that_align_support(claims, study_of, tmp_path, name):
    finding = judge_store(claims[name], middles(tmp_path, study_of(name)))
    assert finding.verdict is Verdict.SUPPORTED
    assert len(finding.parts) == (4 if name == IMAGES else 8)


@pytest.mark.parametrize(
    "options",
    [
        {"ends": {"linear": 0.8}},
        {"start": 0.97, "ends": {"tanh": 0.99}},
        {"inputs": 0.93, "ends": {"tanh": 0.99}},
        {"chance": 0.2},
    ],
)
@pytest.mark.parametrize("name", [IMAGES, WIDTHS])
def test_what_does_not_align_beyond_start_inputs_or_chance_refutes(
    claims, study_of, tmp_path, name, options
):
    finding = judge_store(claims[name], middles(tmp_path, study_of(name), **options))
    assert finding.verdict is Verdict.REFUTED


def test_tanh_networks_alone_can_refute_the_claim_on_widths(claims, study_of, tmp_path):
    finding = judge_store(claims[WIDTHS], middles(tmp_path, study_of(WIDTHS), ends={"tanh": 0.7}))
    assert finding.verdict is Verdict.REFUTED
    assert [part.verdict.label for part in finding.parts[:4]] == ["supported"] * 4


def test_runs_without_pairs_leave_the_claims_untested(claims, study_of, tmp_path):
    for name in (EXACT, WIDTHS):
        store = plant_store(tmp_path / name, study_of(name), lambda run: {"test_loss": 0.1})
        assert judge_store(claims[name], store).verdict is Verdict.UNTESTED
