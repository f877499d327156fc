"""muP in training: what every layer learns does not depend on the width, on any engine."""

from typing import Any

import numpy as np
import pytest
import torch

from analysis.claims.mup_transfer import best_rate
from symstudy.study import PackConfig, load_study, make_study
from symstudy.training import train_pack
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import make_engine, make_pack

CPU = PackConfig(device="cpu")
TORCH = PackConfig(device="cpu", engine="torch")
WIDTHS = (32, 64, 128, 256)
DENSE: dict[str, Any] = {"kind": "fcn", "depth": 4, "base_width": 32}
TRANSFORMER: dict[str, Any] = {
    "kind": "transformer", "tokens": 4, "layers": 2, "norm": "layernorm", "positions": True,
    "base_width": 4, "base_heads": 1, "base_head_dim": 4, "base_mlp_width": 8,
}  # fmt: skip


def study_of(model=None, sweep=None, **train):
    """Return a study in muP of dense networks, or of the model of another kind."""
    model = model or {}
    if ":" not in model.get("kind", ""):
        model = {"parametrization": "mup", **({} if "kind" in model else DENSE), **model}
    return make_study(
        {
            "schema": 1,
            "name": "mup",
            "title": "muP",
            "model": model,
            "data": {"kind": "teacher_student", "input_dim": 8, "samples": 32, "test_samples": 8},
            "train": {"batch_size": "full", "steps": 3, "dtype": "float64", **train},
            "sweep": sweep or {"model.width": [8, 64], "seed": 2},
            "probe": {"num": 2, "detail": 1, "samples": 8},
        }
    )


def trained(runs, config=CPU):
    """Return the parameters before and after, and the network."""
    pack = make_pack(runs, config)
    engine = make_engine(pack)
    before = engine.theta_KP.clone()
    engine.advance(0, runs[0].cell.train.steps)
    return before, engine.theta_KP.clone(), pack.model


def of_width(study, width):
    return [run for run in study.runs() if run.cell.model.width == width]


def growth_of_changes(study, widths=WIDTHS):
    """Return the exponent of width of how far training moves each layer's activations."""
    changes: dict[str, list[float]] = {}
    for width in widths:
        runs = of_width(study, width)
        *thetas, model = trained(runs)
        inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 16, 8)))
        passes = [model.forward(theta, inputs.expand(len(runs), -1, -1)) for theta in thetas]
        seen = [{**each.hidden, "output": each.output_KBO} for each in passes]
        for name in seen[0]:
            change = (seen[1][name] - seen[0][name]).square().mean().sqrt().item()
            changes.setdefault(name, []).append(change)
    logs = {name: np.log(values) for name, values in changes.items()}
    return {name: np.polyfit(np.log(widths), each, 1)[0] for name, each in logs.items()}


COORDINATES = {"model.width": list(WIDTHS), "seed": 6}


@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [
        ("sgd", 0.01), ("adam", 1e-3), ("adamw", 1e-3), ("nadam", 1e-3), ("rmsprop", 1e-4),
        ("lion", 1e-3), ("muon", 1e-2), ("torch.optim:Adamax", 1e-3),
    ],
)  # fmt: skip
def test_every_layer_moves_as_far_at_any_width(optimizer, lr):
    study = study_of({"base_width": 4}, COORDINATES, optimizer=optimizer, lr=lr)
    found = growth_of_changes(study)
    assert set(found) == {"hidden1", "hidden2", "hidden3", "output"}
    assert all(abs(exponent) < 0.2 for exponent in found.values()), found


@pytest.mark.parametrize(
    ("optimizer", "exponents"),
    [("sgd", (-0.5, 0.5, 0.5, 1.0)), ("adam", (0.0, 1.0, 1.0, 1.5))],
)
def test_in_the_standard_parametrisation_layers_move_by_powers_of_the_width(optimizer, exponents):
    standard = {"parametrization": "standard"}
    study = study_of(standard, COORDINATES, optimizer=optimizer, lr=1e-5, steps=1)
    found = list(growth_of_changes(study).values())
    np.testing.assert_allclose(found, exponents, atol=0.25)


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 3e-3), ("adam", 1e-4)])
@pytest.mark.parametrize("grows", ["heads", "head_dim"])
def test_a_transformer_moves_as_far_at_any_width(optimizer, lr, grows):
    widths = (64, 256)
    inner = f"model.{grows}"
    axes = {
        "model.width": list(widths),
        "model.mlp_width": [2 * width for width in widths],
        inner: [width // 4 if grows == "heads" else width for width in widths],
        "zip": [["model.width", "model.mlp_width", inner]],
        "seed": 3,
    }
    head = {"head_dim": 4} if grows == "heads" else {"heads": 1}
    mup, standard = (
        growth_of_changes(
            study_of(
                {**TRANSFORMER, **head, "parametrization": which}, axes, optimizer=optimizer, lr=lr
            ),
            widths,
        )
        for which in ("mup", "standard")
    )
    assert set(mup) == {"mlp0", "mlp1", "output"}
    assert all(abs(exponent) < 0.25 for exponent in mup.values()), mup
    assert standard["output"] > mup["output"] + 0.4


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_at_the_base_width_runs_have_the_bits_of_the_standard(engine, optimizer):
    config = PackConfig(device="cpu", engine=engine)
    which = [
        study_of({"parametrization": name}, {"model.width": [32]}, lr=0.01,
                 optimizer=optimizer, gamma=0.01, dtype="float32", steps=12)
        for name in ("standard", "mup")
    ]  # fmt: skip
    standard, mup = (trained(study.runs(), config)[1] for study in which)
    assert torch.equal(standard, mup)
    ids = [{run.run_id for run in study.runs()} for study in which]
    assert not ids[0] & ids[1]


def of_a_pack(model, **keys):
    """Return runs of one shape that differ in rate, penalty, its centre and seed."""
    sweep = {"train.lr": [1e-3, 1e-2], "train.gamma": [0.0, 0.1], "seed": 2}
    if ":" not in keys["optimizer"]:
        sweep["train.syre"] = [0.0, 0.1]
    return study_of(model, sweep, batch_size=7, steps=5, **keys).runs()


WIDE_TRANSFORMER = {**TRANSFORMER, "width": 16, "heads": 2, "head_dim": 8, "mlp_width": 32}


@pytest.mark.parametrize("model", [{"width": 64}, WIDE_TRANSFORMER], ids=["fcn", "transformer"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "lion", "rmsprop", "nadam"])
def test_a_run_in_mup_has_the_bits_of_the_run_alone(model, dtype, optimizer):
    runs = of_a_pack(model, optimizer=optimizer, dtype=dtype)
    compiled = PackConfig(device="cpu", engine="compiled")
    before, together, _ = trained(runs, compiled)
    assert (before != together).any(dim=1).all()
    for place in (0, 5, len(runs) - 1):
        assert torch.equal(trained([runs[place]], compiled)[1][0], together[place])


@pytest.mark.parametrize("model", [{"width": 64}, WIDE_TRANSFORMER], ids=["fcn", "transformer"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon", "torch.optim:Adam"])
def test_torch_trains_a_run_in_mup_as_it_does_alone(model, optimizer):
    runs = of_a_pack(model, optimizer=optimizer)
    together = trained(runs, TORCH)[1]
    for place in (0, 5, len(runs) - 1):
        alone = trained([runs[place]], TORCH)[1][0]
        torch.testing.assert_close(alone, together[place], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "keys",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
        {"optimizer": "rmsprop", "momentum": 0.9},
        {"optimizer": "nadam"},
    ],
)
def test_torch_takes_the_steps_of_the_kernels(keys):
    sweep = {"model.width": [64], "train.syre": [0, 0.1], "seed": 2}
    runs = study_of(sweep=sweep, lr=0.01, gamma=0.1, steps=10, **keys).runs()
    expected = trained(runs)[1]
    engine = TorchEngine(make_pack(runs, TORCH))
    engine.lanes.by_kernels = False
    engine.advance(0, 10)
    torch.testing.assert_close(engine.theta_KP, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "torch.optim:SGD", "momentum": 0.9}),
        ({"optimizer": "adam"}, {"optimizer": "torch.optim:Adam"}),
        ({"optimizer": "adamw"}, {"optimizer": "torch.optim:AdamW"}),
        (
            {"optimizer": "adamw"},
            {"optimizer": "torch.optim:Adam", "decoupled_weight_decay": True},
        ),
        ({"optimizer": "rmsprop"}, {"optimizer": "torch.optim:RMSprop"}),
    ],
)
def test_a_class_of_torch_takes_the_steps_of_ours(ours, theirs):
    same = {"lr": 0.01, "gamma": 0.05, "schedule": "cosine", "steps": 8}
    expected, found = (
        trained(of_width(study_of(**keys, **same), 64))[1] for keys in (ours, theirs)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_a_class_of_torch_goes_on_from_a_checkpoint():
    runs = of_width(study_of(optimizer="torch.optim:Adam", lr=0.01, steps=8), 64)
    whole, cut = (make_engine(make_pack(runs, CPU)) for _ in range(2))
    whole.advance(0, 4)
    cut.restore({name: array.copy() for name, array in whole.state().items()})
    for engine in (whole, cut):
        engine.advance(4, 4)
    assert torch.equal(whole.theta_KP, cut.theta_KP)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_run_of_a_padded_pack_has_the_rates_of_its_own_width(optimizer):
    sweep = {"model.width": [8, 64, 16], "train.lr": [0.003, 0.01], "seed": 1}
    runs = study_of(sweep=sweep, optimizer=optimizer, gamma=0.01, steps=20).runs()
    padded = train_pack(runs, TORCH).runs
    for place, run in enumerate(runs):
        alone = train_pack([run], TORCH).runs
        for name in ("train_loss", "theta_norm"):
            np.testing.assert_allclose(padded[name][place], alone[name][0], rtol=1e-9)


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "muon"])
def test_a_penalty_beside_the_step_shrinks_all_weights_alike(optimizer):
    decayed, free = (
        trained(of_width(study_of(optimizer=optimizer, lr=0.01, steps=1, gamma=gamma), 64))
        for gamma in (0.2, 0.0)
    )
    torch.testing.assert_close(free[1] - decayed[1], 0.01 * 0.4 * free[0])


def test_a_penalty_in_the_gradient_is_that_of_the_objective():
    decayed, free = (
        trained(of_width(study_of(optimizer="sgd", lr=0.01, steps=1, gamma=gamma), 64))
        for gamma in (0.2, 0.0)
    )
    shares = ((free[1] - decayed[1]) / (0.01 * 0.4 * free[0]))[0]
    blocks = [shares[block.offset : block.stop] for block in free[2].layout.blocks]
    weights = [block.mean().item() for block in blocks[::2]]
    assert weights == pytest.approx([2.0, 1.0, 1.0, 0.5])


def test_the_decay_budget_is_that_of_the_slowest_weights():
    budgets = {
        (optimizer, width): train_pack(
            of_width(study_of(optimizer=optimizer, lr=0.01, gamma=0.1, steps=5), width), CPU
        ).history["decay_budget"][-1]
        for optimizer in ("sgd", "adamw")
        for width in (8, 64)
    }
    assert budgets["sgd", 64] == pytest.approx(0.5 * 2 * 0.1 * 0.01 * 5)
    assert budgets["sgd", 8] == pytest.approx(0.25 * 2 * 0.1 * 0.01 * 5)
    assert budgets["adamw", 64] == budgets["adamw", 8] == pytest.approx(2 * 0.1 * 0.01 * 5)


@pytest.mark.slow
def test_the_best_learning_rate_stays_in_mup_and_falls_in_the_standard(root):
    settings = ("model.width=[32,256]", "seed=3")
    study = load_study(root / "studies" / "mup_transfer.toml", overrides=settings)
    best = {}
    for which in ("standard", "mup"):
        for width in (32, 256):
            runs = [
                run for run in of_width(study, width) if run.cell.model.parametrization == which
            ]
            losses = np.array(train_pack(runs, CPU).runs["train_loss"]).reshape(-1, 3)
            rates = [run.cell.train.lr for run in runs[::3]]
            best[which, width] = best_rate(np.array(rates), np.median(losses, axis=1))
    assert best["mup", 32] == best["standard", 32]
    assert best["mup", 256] == pytest.approx(best["mup", 32], rel=0.6)
    assert best["standard", 256] < best["standard", 32] / 4


def test_what_is_measured_as_it_begins_needs_no_width_rule():
    before, after, model = trained(study_of(sweep={"model.width": [64]}, optimizer="none").runs())
    last = model.layout.blocks[-2]
    assert torch.equal(before, after)
    assert before[0, last.offset : last.stop].std() < 64**-0.5
