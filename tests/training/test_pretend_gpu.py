"""The torch engine on a device that is not the CPU: no mixed devices, no wait inside a block."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.measures.catalogue import EXTRA_MEASURES, NETWORK_MEASURES
from symstudy.store import Store, verify
from symstudy.study import PackConfig, Study, make_study
from symstudy.testing.checkpointers import PausesOnce
from symstudy.training import Paused, train_pack
from symstudy.training.engines.polished import PolishedEngine
from symstudy.training.engines.step_graph import record
from symstudy.training.loop import Training, make_engine, make_pack

TORCH = PackConfig(device="cpu", engine="torch")
MODELS: dict[str, dict[str, Any]] = {
    "dense": {},
    "homogeneous": {"model": {"activation": "relu"}},
    "linear": {"model": {"kind": "deep_linear", "depth": 3, "width": 5}},
    "products": {"model": {"reparametrise": "gate"}},
    "transformer": {
        "model": {"kind": "transformer", "width": 6, "heads": 2, "head_dim": 3, "mlp_width": 5},
        "data": {"kind": "digits", "samples": 20, "patch": 4},
    },
    "normalised": {
        "model": {
            "kind": "transformer", "width": 6, "heads": 2, "head_dim": 3, "norm": "layernorm",
        },
        "data": {"kind": "in_context", "test_samples": 10},
    },
    "own": {"model": {"kind": "torch.nn:Linear", "in_features": 8, "out_features": 4}},
    "own buffers": {"model": {"kind": "sample_modules:Averaging"}},
    "one by one": {"model": {"kind": "sample_modules:Dropped"}},
}  # fmt: skip
TRAININGS: dict[str, dict[str, Any]] = {
    "sgd": {"train": {"optimizer": "sgd", "momentum": 0.9}},
    "adam": {},
    "adamw": {"train": {"optimizer": "adamw", "gamma": 0.1, "schedule": "cosine"}},
    "muon": {"train": {"optimizer": "muon", "gamma": 0.1, "clip_norm": 0.5, "warmup": 3}},
    "nadam": {"train": {"optimizer": "nadam"}},
    "lion": {"train": {"optimizer": "lion", "gamma": 0.1, "syre": 0.2}},
    "rmsprop": {"train": {"optimizer": "rmsprop", "centred": True, "momentum": 0.5}},
    "smoothed": {
        "data": {"kind": "digits", "samples": 20},
        "train": {"label_smoothing": 0.1},
    },
    "syre": {"train": {"gamma": 0.1, "syre": 0.2, "syre_anisotropy": 0.3}},
    "entropic": {"train": {"entropic": 0.01}},
    "online noise": {"data": {"label_noise": 0.3, "noise_mode": "online"}},
    "fresh": {"data": {"samples": None, "fresh": True}, "train": {"batch_size": 4}},
    "classes": {"data": {"kind": "digits", "samples": 20}},
    "flipped": {
        "data": {"kind": "digits", "samples": 20, "label_noise": 0.3, "noise_mode": "online"}
    },
    "float64": {"train": {"dtype": "float64", "batch_size": "full"}},
    "padded": {"sweep": {"model.width": [3, 6], "seed": 2}},
}
ENDING: dict[str, dict[str, Any]] = {
    "diverging": {"train": {"optimizer": "sgd"}, "sweep": {"train.lr": [0.01, 60.0], "seed": 1}},
    "converging": {"sweep": {"train.converged": [0.0, 10.0], "seed": 2}, "probe": {"detail": 4}},
}
"""Trainings in which runs end before the last step."""
BEGINNING = {
    "class of torch": {"train": {"optimizer": "torch.optim:RMSprop", "momentum": 0.5}},
}
"""Trainings whose first step makes what the others keep."""
CASES = MODELS | TRAININGS | ENDING | BEGINNING
QUICK = {
    "transformer",
    "own",
    "own buffers",
    "one by one",
    "entropic",
    "flipped",
    "padded",
    "diverging",
    "adam",
    "muon",
    "class of torch",
}
"""Cases of the quick suite; the others are slow together."""


@pytest.fixture(autouse=True)
def sample_modules(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


def cases(names, quick=QUICK):
    """Return parameters, marked slow but for the quick ones."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=() if name in quick else slow) for name in names]


def measures_of(tables):
    """Return the extra measures that a model has."""
    found = []
    for item in (*EXTRA_MEASURES, *NETWORK_MEASURES):
        try:
            runs_of(**{**tables, "probe": {"measures": [item.name]}})
        except StudyFileError:
            continue
        found.append(item.name)
    return found


def study_of(**tables) -> Study:
    values: dict[str, Any] = {
        "schema": 1,
        "name": "gpu",
        "model": {"kind": "fcn", "depth": 2, "width": 5},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {"lr": 0.01, "batch_size": 8, "steps": 12},
        "sweep": {"seed": 3},
        "probe": {"num": 4, "detail": 2, "samples": 8},
    }
    for name, table in tables.items():
        values[name] = (
            table if "kind" in table or name == "sweep" else {**values.get(name, {}), **table}
        )
    return make_study(values)


def runs_of(**tables):
    return study_of(**tables).runs()


@pytest.mark.parametrize("case", cases(CASES))
def test_a_pack_is_trained_and_measured_without_mixing_devices(case, request):
    runs = runs_of(**CASES[case])
    expected = train_pack(runs, TORCH).runs
    request.getfixturevalue("pretend_gpu")
    found = train_pack(runs, PackConfig(device="cuda")).runs
    assert set(found["engine"]) <= {
        "torch-pretend", "padded-torch-pretend", "one-by-one-torch-pretend",
    }  # fmt: skip
    assert list(found["outcome"]) == list(expected["outcome"])
    for name in ("test_loss", "theta_norm"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("case", cases(MODELS | TRAININGS))
def test_every_step_of_a_block_is_the_same_calls_and_no_wait(case, pretend_gpu):
    engine = make_engine(make_pack(runs_of(**CASES[case]), PackConfig(device="cuda")))
    engine.advance(0, 1)
    counts = []
    for first, steps in ((1, 2), (3, 3), (6, 6)):
        assert engine.is_alive_K.all()
        with pretend_gpu.counting():
            engine.advance(first, steps)
        counts.append(Counter(pretend_gpu.kernels))
        # A block is sent from pinned memory, which the host does not wait for.
        assert set(pretend_gpu.waits) <= {"pageable copy to the device"}
        assert sum(pretend_gpu.waits.values()) <= 6
    two, three, six = (sum(each.values()) for each in counts)
    assert three - two > 10
    assert six - three == 3 * (three - two)


@pytest.mark.parametrize(
    "case", cases(MODELS | TRAININGS | ENDING, quick={"flipped", "one by one"})
)
def test_a_step_is_recorded_once_and_again_when_runs_drop_out(case, pretend_gpu):
    engine = make_engine(make_pack(runs_of(**CASES[case]), PackConfig(device="cuda")))
    lanes = len(engine.diverged_K)
    engine.advance(0, 3)
    recorded = pretend_gpu.replays
    assert recorded == (0 if case == "one by one" else 3)
    engine.freeze(np.arange(lanes - 1))
    engine.drop_dead()
    before = engine.theta_KP.cpu()
    engine.advance(3, 4)
    assert pretend_gpu.replays == (0 if case == "one by one" else 7)
    moved = (engine.theta_KP.cpu() != before).any(dim=1)
    assert moved.tolist() == [False] * (lanes - 1) + [bool(engine.is_alive_K[-1])]


@pytest.mark.parametrize("case", cases(TRAININGS | ENDING | BEGINNING, quick={"adam", "diverging"}))
def test_a_recorded_step_has_the_bits_of_one_that_is_called(case, pretend_gpu, monkeypatch):
    runs, config = runs_of(**CASES[case]), PackConfig(device="cuda")
    recorded = train_pack(runs, config).runs

    def refused(step):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("symstudy.training.engines.step_graph.make_graph", refused)
    pretend_gpu.reset()
    called = train_pack(runs, config).runs
    assert pretend_gpu.replays == 0
    for name in ("test_loss", "theta_norm", "steps_done", "outcome"):
        np.testing.assert_array_equal(called[name], recorded[name], err_msg=name)


@pytest.mark.parametrize("case", cases(MODELS, quick={"dense"}))
def test_a_probe_of_losses_is_one_copy_to_the_host(case, pretend_gpu):
    training = Training(runs_of(**CASES[case]), PackConfig(device="cuda"))
    training.engine.advance(0, 2)
    training.measure(2, is_detailed=False)
    with pretend_gpu.counting():
        training.measure(2, is_detailed=False)
    assert dict(pretend_gpu.waits) == {"copy to the host": 1}


def test_a_recording_that_waits_is_refused_and_the_step_is_called(pretend_gpu):
    there = torch.zeros(2, device="pretend")

    def step():
        there.add_(1.0)
        there.sum().item()

    assert record(step, [there], there.device) is None
    assert there.cpu().tolist() == [0.0, 0.0]


def test_a_recording_does_not_run_its_step_and_keeps_the_hosts_numbers(pretend_gpu):
    there, number = torch.zeros(2, device="pretend"), [1.0]

    def step():
        there.add_(number[0])

    graph = record(step, [there], there.device)
    assert graph is not None
    assert there.cpu().tolist() == [0.0, 0.0]
    number[0] = 5.0
    graph.replay()
    assert there.cpu().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("case", cases(MODELS, quick={"transformer"}))
def test_every_measure_of_a_model_is_that_of_the_cpu(case, request):
    names = measures_of(MODELS[case])
    assert len(names) > 5
    runs = runs_of(**{**MODELS[case], "probe": {"detail": 2, "measures": names}})
    expected = train_pack(runs, TORCH)
    request.getfixturevalue("pretend_gpu")
    found = train_pack(runs, PackConfig(device="cuda"))
    for table in ("history", "layers"):
        columns = getattr(expected, table)
        for name, column in columns.items():
            if np.asarray(column).dtype.kind != "f":
                continue
            np.testing.assert_allclose(
                getattr(found, table)[name], column, rtol=1e-3, atol=1e-5, err_msg=name
            )


@pytest.mark.parametrize(
    "case", cases(["adam", "padded", "diverging", "converging", "entropic"], quick={"padded"})
)
def test_a_training_that_was_paused_goes_on_to_the_same_bits(case, pretend_gpu):
    runs, config = runs_of(**CASES[case]), PackConfig(device="cuda")
    whole = train_pack(runs, config).runs
    pausing = PausesOnce(2)
    with pytest.raises(Paused):
        train_pack(runs, config, None, pausing)
    assert pausing.state is not None
    again = train_pack(runs, config, None, pausing).runs
    for name in ("test_loss", "theta_norm", "steps_done", "outcome"):
        np.testing.assert_array_equal(again[name], whole[name], err_msg=name)


def test_a_pack_without_room_on_the_device_trains_in_parts_that_have(pretend_gpu, tmp_path):
    pack = {"size": 4, "certify": 0, "engine": "torch"}
    few = {"num": 2, "detail": 1}
    study = study_of(sweep={"seed": 4}, pack=pack, probe=few, train={"steps": 2})
    parameters = study.cells[0].model.size(study.cells[0].data.shape).parameters
    pretend_gpu.room = 2 * parameters + 200
    summary = run_study(study, str(tmp_path), InlineLauncher(device="cpu"))
    assert (summary.done, summary.failed) == (4, 0)
    store = Store([open_study_folder(str(tmp_path), study)])
    (packs, device) = store.sql("select count(distinct pack_id), min(engine) from runs").rows[0]
    assert packs > 1
    assert device == "torch-pretend"


def test_a_fault_of_the_device_is_no_result_and_the_next_launch_trains_the_pack(
    pretend_gpu, tmp_path
):
    study = study_of(sweep={"seed": 2}, pack={"certify": 0, "engine": "torch"})
    pretend_gpu.fault_after = 300
    with pytest.raises(LaunchError, match="an illegal memory access was encountered"):
        run_study(study, str(tmp_path), InlineLauncher(device="cpu"))
    folder = open_study_folder(str(tmp_path), study)
    assert not folder.list_files("runs", "")
    pretend_gpu.mend()
    assert run_study(study, str(tmp_path), InlineLauncher(device="cpu")).done == 2
    assert verify(folder).is_proven


@pytest.mark.slow
def test_what_polishes_on_a_gpu_is_the_compiled_solver(pretend_gpu):
    runs = runs_of(train={"polish": 20, "dtype": "float64", "gamma": 0.1})
    config = PackConfig(device="cuda")
    engine = make_engine(make_pack(runs, config))
    assert isinstance(engine, PolishedEngine)
    assert engine.network is not None
    found = train_pack(runs, config).runs
    assert set(found["engine"]) == {"polished-torch-pretend"}
    assert np.isfinite(found["grad_ratio"]).all()


def test_the_device_refuses_what_a_gpu_refuses(pretend_gpu):
    there = torch.ones(3).to("pretend")
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert pretend_gpu.waits["pageable copy to the device"] == 1
    assert bool((there > 0).all())
    assert pretend_gpu.waits["_local_scalar_dense"] + pretend_gpu.waits["is_nonzero"] == 1
