"""Features of every kind of model: found, measured and stored."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from symstudy.components import DataShape, looking_in
from symstudy.components.registry import builtin_entries
from symstudy.errors import StudyFileError
from symstudy.launch import InlineLauncher, run_study
from symstudy.models import build_model
from symstudy.models.cnn.config import CnnConfig
from symstudy.models.deep_linear.config import DeepLinearConfig
from symstudy.models.fcn.config import FcnConfig
from symstudy.models.own.last_layer import find_last_layer
from symstudy.models.resnet.config import ResNetConfig
from symstudy.models.transformer.config import TransformerConfig
from symstudy.store import open_store
from symstudy.study import PackConfig, make_study
from symstudy.testing.checkpointers import PausesOnce
from symstudy.training import Paused, train_pack

IMAGES = DataShape(64, 3, 20, 20, True, input_shape=(1, 8, 8))
MODELS = {
    "fcn": FcnConfig(width=5, depth=3),
    "no bias": FcnConfig(width=5, depth=3, bias=False),
    "linear in the inputs": FcnConfig(width=5, depth=1),
    "deep_linear": DeepLinearConfig(width=5, depth=3),
    "products": FcnConfig(width=5, depth=3, reparametrise="hadamard"),
    "transformer": TransformerConfig(tokens=4, head_dim=4, pool="mean"),
    "last token": TransformerConfig(tokens=4, head_dim=4, pool="last"),
    "cnn": CnnConfig(layers=2, width=4),
    "resnet": ResNetConfig(stages=2, blocks=1, width=4),
    "products of a cnn": CnnConfig(layers=2, width=4, reparametrise="gate"),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_last_layer_makes_the_outputs_of_its_features(name):
    model = build_model(MODELS[name], IMAGES)
    assert not model.why_no_features
    theta_KP = model.initialise((0, 1), torch.ones(2, dtype=torch.float64))
    theta_KP = theta_KP + 0.1 * torch.randn(theta_KP.shape, dtype=torch.float64)
    model = model.with_buffers(model.initial_buffers((0, 1), torch.float64))
    x_KBI = torch.randn(2, 7, 64, dtype=torch.float64)
    passed = model.forward(theta_KP, x_KBI)
    assert passed.last is not None
    outputs = passed.last.features_KBF @ passed.last.weight_KOF.transpose(1, 2)
    if passed.last.bias_KO is not None:
        outputs = outputs + passed.last.bias_KO[:, None]
    torch.testing.assert_close(outputs, passed.output_KBO)
    assert set(passed.hidden) <= {group.name for group in model.network_layout.groups}


def test_every_kind_of_model_that_is_trained_tells_its_features():
    kinds = {entry.kind for entry in builtin_entries("models")}
    # What is read from a file has no data.
    assert kinds - {"pretrained"} == {config.kind for config in MODELS.values()}


class Head(nn.Module):
    """A module whose forward is told when it is made."""

    def __init__(self, forward):
        super().__init__()
        self.body, self.readout = nn.Linear(6, 4), nn.Linear(4, 3)
        self.wide = nn.Linear(6, 3)
        self.told = forward

    def forward(self, x):
        return self.told(self, x)


@pytest.mark.parametrize(
    ("forward", "path", "reason"),
    [
        (lambda m, x: m.readout(m.body(x).relu()), "readout", ""),
        (lambda m, x: m.readout(m.body(x)).log_softmax(dim=1), "readout", ""),
        (lambda m, x: (m.readout(m.body(x)), None), "readout", ""),
        (lambda m, x: (m.readout(m.body(x)), {"body": m.body(x)}), "readout", ""),
        (lambda m, x: m.readout(m.body(x)) + m.wide(x), "", "no nn.Linear inside it returns"),
        (lambda m, x: m.readout(m.body(x[:, None]))[:, 0], "", "no nn.Linear inside it returns"),
        (lambda m, x: m.readout(m.readout(m.body(x))[:, :1].expand(-1, 4)), "", "more than once"),
        (lambda m, x: {"logits": m.readout(m.body(x))}, "", "more than its outputs"),
    ],
)
def test_the_last_layer_of_a_module_is_found_or_said_to_be_none(forward, path, reason):
    found = find_last_layer(Head(forward).eval(), torch.randn(5, 6), predicts=True)
    assert found.path == path
    assert reason in found.reason


def study_of(measures, seeds=3, name="features", data=None, probe=None, **model):
    return make_study(
        {
            "schema": 1,
            "name": name,
            "model": {"kind": "fcn", "width": 12, "depth": 3, **model},
            "data": data or {"kind": "digits", "samples": 150},
            "train": {"lr": 0.01, "batch_size": 50, "steps": 20},
            "sweep": {"seed": seeds},
            "probe": {
                "num": 6, "detail": 3, "samples": 150, "measures": measures, **(probe or {})
            },
        }
    )  # fmt: skip


NAMED = ["nc1", "nc4", "feature_spectrum", "feature_correlation", "zero_error_steps"]
TORCH = PackConfig(device="cpu", engine="torch")


def test_numbers_stand_in_the_history_and_vectors_beside_the_last_of_them():
    result = train_pack(study_of(NAMED).runs(), PackConfig())
    detailed = np.isfinite(result.history["grad_norm"])
    assert (result.history["nc1"][detailed] > 0).all()
    assert np.isnan(result.history["nc1"][~detailed]).all()
    assert "feature_spectrum" not in result.history
    assert [len(row) for row in result.runs["feature_spectrum"]] == [12, 12, 12]
    square = result.runs["feature_correlation"][0].reshape(100, 100)
    np.testing.assert_allclose(np.diag(square), 1.0)
    np.testing.assert_allclose(square, square.T, atol=1e-12)


@pytest.mark.parametrize("config", [PackConfig(), TORCH], ids=["compiled", "torch"])
def test_a_run_has_the_same_features_alone_as_in_a_pack(config):
    runs = study_of(NAMED).runs()
    together, alone = (train_pack(some, config) for some in (runs, runs[1:2]))
    for name in NAMED:
        np.testing.assert_array_equal(alone.runs[name][0], together.runs[name][1])


def test_a_pack_of_two_widths_keeps_the_spectrum_of_each():
    study = study_of(NAMED, seeds=1)
    wide = study_of(NAMED, seeds=1, width=20)
    runs = [*study.runs(), *wide.runs()]
    padded = train_pack(runs, TORCH)
    assert [len(row) for row in padded.runs["feature_spectrum"]] == [12, 20]
    alone = train_pack(runs[:1], TORCH)
    np.testing.assert_allclose(
        padded.runs["feature_spectrum"][0], alone.runs["feature_spectrum"][0], rtol=1e-3
    )


def test_a_pack_that_was_paused_ends_with_the_same_vectors():
    runs = study_of(NAMED).runs()
    whole = train_pack(runs, PackConfig())
    pauses = PausesOnce(2)
    with pytest.raises(Paused):
        train_pack(runs, PackConfig(), checkpointer=pauses)
    resumed = train_pack(runs, PackConfig(), checkpointer=pauses)
    for name in ("feature_spectrum", "feature_correlation", "nc1"):
        for one, other in zip(whole.runs[name], resumed.runs[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_vectors_are_lists_in_the_results_and_have_no_mean_over_seeds(tmp_path):
    run_study(study_of(NAMED), str(tmp_path), launcher=InlineLauncher())
    (file,) = (tmp_path / "features" / "runs").glob("*.parquet")
    assert pq.read_schema(file).field("feature_spectrum").type == pa.list_(pa.float64())
    store = open_store(str(tmp_path))
    rows = store.sql("select feature_spectrum, feature_correlation, nc1 from runs").rows
    assert [len(row[0]) for row in rows] == [12] * 3
    assert [len(row[1]) for row in rows] == [10_000] * 3
    cells = store.df("from cells")
    assert cells["nc1"][0] == pytest.approx(np.mean([row[2] for row in rows]))
    assert "feature_spectrum" not in cells.columns


def test_correlations_are_null_where_a_class_has_too_few_images(tmp_path):
    study = study_of(NAMED, seeds=1, data={"kind": "digits", "samples": 60})
    run_study(study, str(tmp_path), launcher=InlineLauncher())
    ((correlation, spectrum),) = (
        open_store(str(tmp_path)).sql("select feature_correlation, feature_spectrum from runs").rows
    )
    assert correlation is None
    assert len(spectrum) == 12


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"kind": "teacher_student", "samples": 60}, "the samples have no classes"),
        ({"kind": "teacher_student", "fresh": True}, "the samples have no classes"),
    ],
)
def test_data_without_classes_are_refused(data, reason):
    with pytest.raises(StudyFileError, match=f"'nc1' cannot be taken: {reason}"):
        study_of(["nc1"], data=data)


SOURCE = '''
import torch
from torch import nn
from symstudy.measures import measure


class Blind(nn.Module):
    """Its outputs come from two layers."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x):
        return self.one(x) + self.two(x)


@measure(on="features", kind="vector", meaning="norms of the class means")
def mean_norms(view):
    return view.centred_means_KCF.norm(dim=2)


@measure(on="features", kind="number", meaning="largest feature")
def largest(view):
    return view.features_KBF.amax(dim=(1, 2))


@measure(on="features", kind="vector", meaning="one number for all: wrong")
def flat(view):
    return view.features_KBF.amax(dim=(1, 2))


@measure(on="layer", kind="vector", meaning="vectors are of networks: wrong")
def of_layer(view):
    return view.norms_KN


@measure(on="network", kind="vector", meaning="outputs of the first test sample")
def outputs(view):
    return view.outputs()[:, 0]
'''


@pytest.fixture
def own(tmp_path, monkeypatch, request):
    """Write a module of one's own; return its name."""
    name = f"own_features_{abs(hash(request.node.nodeid)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with looking_in(tmp_path):
        yield name


def test_measures_of_ones_own_may_be_of_features_and_vectors(own):
    names = ["largest", "mean_norms", "outputs"]
    result = train_pack(study_of([f"{own}:{name}" for name in names]).runs(), PackConfig())
    assert (result.runs["largest"] > 0).all()
    assert [row.shape for row in result.runs["mean_norms"]] == [(10,)] * 3
    assert [row.shape for row in result.runs["outputs"]] == [(10,)] * 3


def test_a_vector_that_is_no_row_a_run_ends_the_pack_with_what_to_do(own):
    with pytest.raises(Exception, match="must return a row of numbers a run"):
        train_pack(study_of([f"{own}:flat"]).runs(), PackConfig())


def test_a_vector_of_a_layer_is_refused(own):
    with pytest.raises(StudyFileError, match="must name a measure whose kind is one of"):
        study_of([f"{own}:of_layer"])


def test_a_module_whose_features_are_not_found_is_refused_with_the_reason(own):
    with pytest.raises(StudyFileError, match="no nn.Linear inside it returns its outputs"):
        make_study(
            {
                "schema": 1,
                "name": "blind",
                "model": {"kind": f"{own}:Blind"},
                "data": {"kind": "digits", "samples": 60},
                "train": {"lr": 0.01, "batch_size": 50, "steps": 5},
                "probe": {"measures": ["nc1"]},
            }
        )
