"""Planted pairs of runs whose layers align as told, for the claims of universal alignment."""

__all__ = ["TRUTH", "MiddleLayers", "exact", "exact_pairs", "planted"]

import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.study import load_study
from symstudy.testing.claims import judge_store
from symstudy.testing.stores import plant_store

TRUTH = {"noise": 0.97, "little": 0.6, "decay": 0.75, "singular": 0.55}


def arm_of(pair):
    first, second = pair.first.cell, pair.second.cell
    if second.data.input_rank:
        return "singular"
    if first.train.gamma:
        return "decay"
    return "noise" if first.train.lr > 0.01 else "little"


def exact(run, *, universal=0.98, inputs=0.6):
    """Each layer agrees so with the closed form and with the inputs."""
    return {
        "universal_gram_cosine": universal,
        "input_gram_cosine": inputs,
        "test_loss": 0.1,
        "trivial_loss": 3.0,
    }


def exact_pairs(pair, *, truth=TRUTH, spread=0.01, repeat=0):
    """Plant the alignment of each arm, with noise, in layers 1 and 2 of the first network."""
    rng = np.random.default_rng([repeat, pair.first.seed])
    value = truth[arm_of(pair)] + spread * rng.normal()
    row = {"step_a": 60000, "step_b": 60000, "is_last": True, "gram_cosine_p": 1 / 201}
    for layer, above in ((1, 0.0), (2, 0.01)):
        yield {**row, "layer_a": layer, "layer_b": 1, "gram_cosine": value + above}


def middle_of(run):
    return run.cell.model.depth // 2


def middle(run, *, inputs=0.6):
    """The middle layer agrees so with the inputs."""
    layer = {"step": run.cell.train.steps, "layer": middle_of(run), "input_cka": inputs}
    return {"layers": [layer], "test_accuracy": 0.9, "trivial_accuracy": 0.1}


def middle_pairs(pair, *, ends=None, start=0.4, chance=1 / 201, repeat=0):
    """Plant the alignment of middle layers, at the start and at the end, by activation."""
    ends = {"linear": 0.95, "tanh": 0.86} | (ends or {})
    rng = np.random.default_rng([repeat, pair.first.seed])
    end = ends[getattr(pair.first.cell.model, "activation", "linear")] + 0.01 * rng.normal()
    layers = {"layer_a": middle_of(pair.first), "layer_b": middle_of(pair.first)}
    last = pair.first.cell.train.steps
    yield {"step_a": 0, "step_b": 0, "is_last": False, "cka": start, **layers}
    at_end = {"step_a": last, "step_b": last, "is_last": True}
    yield {**at_end, "cka": end, "cka_p": chance, **layers}
    # Other layers do not count.
    yield {**at_end, "cka": 0.1, "cka_p": 1.0, "layer_a": 1, "layer_b": 2}


def planted(place, root, name, runs, pairs, **options):
    """Return a store of the study `name`, planted by `runs` and `pairs`; each has its options."""
    own = {key: options.pop(key) for key in ("universal", "inputs") if key in options}
    study = load_study(root / "studies" / f"{name}.toml")
    place = place / f"{name}-{options.get('repeat', 0)}"
    return plant_store(
        place, study, lambda run: runs(run, **own), pairs_of=lambda pair: pairs(pair, **options)
    )


class MiddleLayers:
    """What a claim on middle layers must pass; a subclass says its name and its number of parts."""

    name: str
    parts: int

    @pytest.fixture
    def plant_middles(self, tmp_path, request):
        def plant(**options):
            root = request.config.rootpath
            return planted(tmp_path, root, self.name, middle, middle_pairs, **options)

        return plant

    def test_middle_layers_that_align_support(self, claims, plant_middles):
        finding = judge_store(claims[self.name], plant_middles())
        assert finding.verdict is Verdict.SUPPORTED
        assert len(finding.parts) == self.parts

    @pytest.mark.parametrize(
        "options",
        [
            {"ends": {"linear": 0.8}},
            {"start": 0.97, "ends": {"tanh": 0.99}},
            {"inputs": 0.93, "ends": {"tanh": 0.99}},
            {"chance": 0.2},
        ],
    )
    def test_what_does_not_align_beyond_start_inputs_or_chance_refutes(
        self, claims, plant_middles, options
    ):
        finding = judge_store(claims[self.name], plant_middles(**options))
        assert finding.verdict is Verdict.REFUTED

    def test_runs_without_pairs_leave_the_claim_untested(self, claims, plant):
        store = plant(self.name, lambda run, rng: {"test_loss": 0.1})
        assert judge_store(claims[self.name], store).verdict is Verdict.UNTESTED
