"""Hypothesis strategies for studies and packs."""

from typing import Any

from hypothesis import strategies as st

from symstudy.study import Study, make_study

__all__ = ["packs_of_runs", "packs_of_transformers", "small_studies", "small_transformers"]

OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "schedule": "cosine", "lr_final": 0.1},
    {"optimizer": "rmsprop"},
    {"optimizer": "rmsprop", "momentum": 0.9},
    {"optimizer": "nadam"},
]
TOKENS: list[dict[str, Any]] = [
    {"kind": "in_context", "length": 5, "token_dim": 3, "samples": 30, "test_samples": 20},
    {"kind": "in_context", "length": 4, "token_dim": 2, "fresh": True, "test_samples": 40},
    {"kind": "digits", "patch": 4, "samples": 40},
]
DATA: list[dict[str, Any]] = [
    {"kind": "teacher_student", "input_dim": 5, "output_dim": 3, "samples": 37, "test_samples": 20},
    {"kind": "identity", "input_dim": 4, "samples": 21, "test_samples": 20},
    {"kind": "identity", "input_dim": 4, "fresh": True, "test_samples": 20},
    {"kind": "spectrum", "input_dim": 6, "samples": 9, "test_samples": 20},
    {"kind": "digits", "samples": 40},
]
ACTIVATIONS = ["tanh", "silu", "relu", "gelu", "sin", "linear", "polynomial"]


@st.composite
def small_studies(draw: st.DrawFn) -> Study:
    """Draw a study of one shape: any data, activation and optimiser; per-lane numbers vary."""
    data = dict(draw(st.sampled_from(DATA)))
    is_fresh = data.get("fresh", False)
    data["noise_mode"] = draw(st.sampled_from(["fixed", "online"]))
    batch: Any = draw(st.sampled_from([1, 4, 9] if is_fresh else [1, 4, 9, "full"]))
    return make_study(
        {
            "schema": 1,
            "name": "drawn",
            "title": "Drawn by hypothesis",
            "model": {
                "kind": "fcn",
                "depth": draw(st.integers(1, 4)),
                "width": draw(st.integers(1, 19)),
                "activation": draw(st.sampled_from(ACTIVATIONS)),
                "bias": draw(st.booleans()),
                "parametrization": draw(st.sampled_from(["standard", "mup"])),
                "base_width": 6,
            },
            "data": data,
            "train": {
                **draw(st.sampled_from(OPTIMIZERS)),
                "batch_size": batch,
                "steps": draw(st.integers(1, 12)),
                "dtype": draw(st.sampled_from(["float32", "float64"])),
                "sampling": draw(st.sampled_from(["shuffle", "replacement"])),
            },
            "sweep": {
                "train.lr": [1e-3, 3e-3],
                "train.gamma": [0.0, 0.01],
                "train.syre": [0.0, 0.2, 0.3],
                "train.syre_anisotropy": [0.0, 0.0, 0.5],
                "zip": [["train.syre", "train.syre_anisotropy"]],
                "model.init_scale": [0.5, 1.0],
                "data.label_noise": [0.0, 0.3],
                "seed": 2,
            },
            "probe": {"num": 3, "detail": 1, "samples": 8},
        }
    )


@st.composite
def packs_of_runs(draw: st.DrawFn) -> Any:
    """Draw some runs of one shape, in some order."""
    runs = draw(small_studies()).runs()
    count = draw(st.integers(2, 8))
    return draw(st.permutations(runs))[:count]


@st.composite
def small_transformers(draw: st.DrawFn) -> Study:
    """Draw a study of transformers of one shape, with any of their parts; lanes vary."""
    data = dict(draw(st.sampled_from(TOKENS)))
    mlp_width = draw(st.sampled_from([0, 0, 5, 16]))
    return make_study(
        {
            "schema": 1,
            "name": "drawn",
            "title": "Drawn by hypothesis",
            "model": {
                "kind": "transformer",
                "layers": draw(st.integers(1, 3)),
                "width": draw(st.sampled_from([1, 4, 7, 16])),
                "heads": draw(st.integers(1, 3)),
                "head_dim": draw(st.sampled_from([1, 4, 6, 16])),
                "mlp_width": mlp_width,
                "activation": draw(st.sampled_from(ACTIVATIONS)),
                "pool": draw(st.sampled_from(["last", "mean"])),
                "norm": draw(st.sampled_from(["none", "layernorm"])),
                "positions": draw(st.booleans()),
                "bias": draw(st.booleans()),
            },
            "data": data,
            "train": {
                **draw(st.sampled_from([*OPTIMIZERS, {"optimizer": "lion"}])),
                "batch_size": draw(st.sampled_from([1, 7, 8, 9, 17])),
                "steps": draw(st.integers(1, 8)),
                "dtype": draw(st.sampled_from(["float32", "float64"])),
                "clip_norm": draw(st.sampled_from([0.0, 0.5])),
            },
            "sweep": {
                "train.lr": [1e-3, 3e-3],
                "train.gamma": [0.0, 0.01],
                "model.init_scale": [0.5, 1.0],
                "data.label_noise": [0.0, 0.3],
                "seed": 2,
            },
            "probe": {"num": 2, "detail": 1, "samples": 8},
        }
    )


@st.composite
def packs_of_transformers(draw: st.DrawFn) -> Any:
    """Draw some transformers of one shape, in some order."""
    runs = draw(small_transformers()).runs()
    count = draw(st.integers(2, 5))
    return draw(st.permutations(runs))[:count]
