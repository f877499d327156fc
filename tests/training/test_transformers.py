"""Transformers in packs: the same numbers as alone, rows of their layers, plans that pay."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from symstudy.errors import StudyFileError
from symstudy.launch import InlineLauncher, run_study
from symstudy.measures import ATTENTION_MEASURES, MEASURES
from symstudy.models.transformer import network
from symstudy.models.transformer.network import Transformer
from symstudy.store import open_store
from symstudy.study import PackConfig, make_study, plan_packs
from symstudy.training import train_pack
from symstudy.training.loop import make_pack

CPU = PackConfig(device="cpu")
TORCH = PackConfig(device="cpu", engine="torch")
MODEL = {"kind": "transformer", "width": 6, "heads": 2, "head_dim": 3}
IN_CONTEXT = {"kind": "in_context", "length": 5, "token_dim": 3, "test_samples": 40}
VISION = {**MODEL, "mlp_width": 7, "norm": "layernorm", "positions": True, "pool": "mean"}
DIGITS = {"kind": "digits", "patch": 2, "samples": 60}


def study_of(**tables: Any) -> Any:
    values: dict[str, Any] = {
        "schema": 1,
        "name": "attention",
        "model": MODEL,
        "data": IN_CONTEXT,
        "train": {"lr": 0.01, "batch_size": 8, "steps": 25, "gamma": 1e-3},
        "probe": {"num": 4, "detail": 2, "samples": 16},
        "sweep": {"seed": 4},
    }
    for name, table in tables.items():
        values[name] = table if "kind" in table else {**values[name], **table}
    return make_study(values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("model", "data"), [(MODEL, IN_CONTEXT), (VISION, DIGITS)])
def test_a_pack_measures_what_its_runs_measure_alone(model, data, dtype):
    # The torch engine: products of many matrices need not round as those of one.
    runs = study_of(model=model, data=data, train={"dtype": dtype}).runs()
    together = train_pack(runs, TORCH).runs
    tolerance = 1e-3 if dtype == "float32" else 1e-10
    for place in (0, 3):
        alone = train_pack([runs[place]], TORCH).runs
        for name in (
            "test_loss",
            "theta_norm",
            "mean_query_key_effective_rank",
            "mean_value_output_largest",
        ):
            np.testing.assert_allclose(together[name][place], alone[name][0], rtol=tolerance)


@pytest.mark.parametrize("engine", ["transformer", "fcn"])
def test_a_small_network_alone_is_never_a_batch_of_one(engine, monkeypatch):
    # One matrix takes another path in the library than several, which all have the same bits.
    model = MODEL if engine == "transformer" else {"kind": "fcn", "width": 6, "depth": 3}
    data = IN_CONTEXT if engine == "transformer" else DIGITS | {"patch": 0}
    (run,) = study_of(model=model, data=data, sweep={"seed": 1}).runs()
    sizes = []
    kind = type(make_pack([run], CPU).model)
    forward = kind.forward

    def spied(self, theta_KP, x_KBI):
        sizes.append((torch.is_grad_enabled(), len(theta_KP)))
        return forward(self, theta_KP, x_KBI)

    monkeypatch.setattr(kind, "forward", spied)
    (losses,) = train_pack([run], PackConfig(device="cpu", engine="torch")).runs["test_loss"][None]
    assert np.isfinite(losses).all()
    assert {size for is_training, size in sizes if is_training} == {2}


def test_a_large_network_alone_goes_through_once(monkeypatch):
    monkeypatch.setattr("symstudy.training.engines.evaluators.TWICE_PARAMETERS", 10)
    (run,) = study_of(sweep={"seed": 1}).runs()
    sizes = []
    forward = Transformer.forward

    def spied(self, theta_KP, x_KBI):
        sizes.append(len(theta_KP))
        return forward(self, theta_KP, x_KBI)

    monkeypatch.setattr(Transformer, "forward", spied)
    train_pack([run], TORCH)
    assert set(sizes) == {1}


def test_a_lane_that_diverges_leaves_its_mates_alone():
    sweep = {"train.lr": [0.01, 1e4], "seed": 2}
    runs = study_of(train={"optimizer": "sgd"}, sweep=sweep).runs()
    together = train_pack(runs, CPU).runs
    outcomes = dict(zip([run.cell.train.lr for run in runs], together["outcome"], strict=True))
    assert outcomes == {0.01: "done", 1e4: "diverged"}
    calm = [run for run in runs if run.cell.train.lr == 0.01]
    places = [place for place, run in enumerate(runs) if run in calm]
    alone = train_pack(calm, CPU).runs
    np.testing.assert_allclose(together["test_loss"][places], alone["test_loss"], rtol=1e-3)


def test_training_learns_the_task():
    longer = {"steps": 400, "batch_size": 32, "gamma": 0.0}
    history = train_pack(study_of(train=longer, sweep={"seed": 2}).runs(), CPU).history
    last = history["step"] == 400
    first = history["step"] == 0
    assert (history["test_loss"][last] < 0.8 * history["test_loss"][first]).all()


def test_a_layer_of_attention_has_a_row_with_its_measures_alone():
    layers = train_pack(study_of().runs(), CPU).layers
    assert sorted(set(layers["layer"].tolist())) == [1, 2]
    assert {measure.name for measure in ATTENTION_MEASURES} <= set(layers)
    assert not {measure.name for measure in MEASURES} & set(layers)
    assert (layers["head_directions"] == 6).all()
    assert (layers["query_key_breaking"] <= 6).all()


def test_layers_of_both_kinds_are_stored_with_nulls_for_what_they_are_not(tmp_path):
    study = study_of(
        model=VISION, data=DIGITS, probe={"measures": ["stable_rank", "permutation_breaking"]}
    )
    run_study(study, str(tmp_path), InlineLauncher(device="cpu"))
    store = open_store(tmp_path)
    rows = store.df("select * from layers where is_final and seed = 0 order by layer")
    (run,) = store.df("select * from runs where seed = 0").to_dict("records")
    is_attention = rows["layer"].isin([1, 3]).to_numpy()
    assert list(is_attention) == [True, False, True, False]
    for measure in ATTENTION_MEASURES:
        np.testing.assert_array_equal(rows[measure.name].notna(), is_attention, measure.name)
    for name in ("neurons", "distinct_neurons", "distinct_curve", "rank", "stable_rank"):
        np.testing.assert_array_equal(rows[name].notna(), ~is_attention, name)
    assert rows["permutation_breaking"].notna().all()
    assert len(rows["distinct_curve"][1]) == 7
    # The mean of a run is over the layers that have the measure.
    mean = rows.loc[is_attention, "query_key_breaking"].mean()
    assert run["mean_query_key_breaking"] == pytest.approx(mean)
    assert run["mean_neurons"] == 7


def test_the_entropic_term_reaches_through_attention():
    # Second derivatives, which torch's fused attention does not have.
    runs = study_of(train={"entropic": 0.01, "steps": 3}, sweep={"seed": 1}).runs()
    assert train_pack(runs, CPU).runs["outcome"] == ["done"]


def test_the_planner_puts_many_small_transformers_into_a_pack():
    runs = study_of(train={"steps": 20_000, "batch_size": 32}, sweep={"seed": 64}).runs()
    packs = plan_packs(runs, CPU, workers=2)
    assert 4 <= len(packs) <= 20
    assert max(len(pack.runs) for pack in packs) >= 4


def test_a_larger_transformer_is_estimated_to_take_longer():
    sizes = [{}, {"width": 24}, {"layers": 4}, {"mlp_width": 64}]
    small, *others = (
        plan_packs(study_of(model={**MODEL, **size}).runs(), CPU)[0].seconds for size in sizes
    )
    assert all(other > small for other in others)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (MODEL, {"kind": "identity"}),
        ({**MODEL, "tokens": 4}, IN_CONTEXT),
        (MODEL, {"kind": "digits"}),
    ],
)
def test_a_study_whose_inputs_are_no_tokens_is_refused_by_key(model, data):
    with pytest.raises(StudyFileError, match=r"model\.tokens"):
        study_of(model=model, data=data)


def test_attention_in_parts_is_that_of_all_samples_at_once(monkeypatch):
    q, k, v = torch.randn(3, 10, 2, 4, 3).unbind(0)
    whole = network.attention(q, k, v, 0.3)
    monkeypatch.setattr(network, "MOST_SAMPLES", 4)
    counted = []

    def counting(q, k, v, scale):
        counted.append(len(q))
        return scaled_dot_product_attention(q, k, v, scale=scale)

    monkeypatch.setattr(network, "scaled_dot_product_attention", counting)
    torch.testing.assert_close(network.attention(q, k, v, 0.3), whole, rtol=1e-6, atol=1e-7)
    assert counted == [4, 4, 2]
