"""What needs a GPU: `make test-gpu`. Each says what should come out."""

import numpy as np
import pytest
import torch

from symstudy.study import PackConfig
from symstudy.training import train_pack
from symstudy.training.engines.base import pick_device
from symstudy.training.engines.fused import FusedEngine
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.gpu_report import has_kernel_compiler
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.philox import integers, normals, philox_words, stream_keys
from tests.training.test_fused import CASES as DENSE
from tests.training.test_fused import runs_of as dense_runs_of
from tests.training.test_pretend_gpu import CASES, runs_of

pytestmark = pytest.mark.gpu
CPU, GPU = PackConfig(device="cpu"), PackConfig(device="cuda")
TORCH = PackConfig(device="cuda", engine="torch")


@pytest.fixture(autouse=True)
def sample_modules(monkeypatch):
    from pathlib import Path

    monkeypatch.syspath_prepend(Path(__file__).parent)


def test_the_device_is_a_gpu_where_there_is_one():
    assert pick_device(PackConfig()).type == "cuda"


def test_words_and_integers_of_the_gpu_are_those_of_the_cpu():
    keys = torch.from_numpy(stream_keys([0, 5], "batches"))
    here, there = (philox_words(each, 3, 4, 10) for each in (keys, keys.cuda()))
    assert torch.equal(here, there.cpu())
    assert torch.equal(integers(here, 1000), integers(there, 1000).cpu())
    torch.testing.assert_close(normals(here), normals(there).cpu(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_trains_what_the_cpu_trains(case):
    runs = runs_of(**CASES[case])
    expected = train_pack(runs, PackConfig(device="cpu", engine="torch")).runs
    found = train_pack(runs, TORCH).runs
    assert list(found["outcome"]) == list(expected["outcome"])
    for name in ("test_loss", "theta_norm"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_step_has_the_numbers_of_one_that_is_called(case, monkeypatch):
    runs = runs_of(**CASES[case])
    recorded = train_pack(runs, TORCH).runs
    monkeypatch.setattr(
        "symstudy.training.engines.device_steps.record", lambda step, state, device: None
    )
    called = train_pack(runs, TORCH).runs
    for name in ("test_loss", "theta_norm"):
        np.testing.assert_allclose(called[name], recorded[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", ["adam", "transformer", "entropic", "flipped", "fresh"])
def test_a_step_is_recorded(case):
    engine = make_engine(make_pack(runs_of(**CASES[case]), TORCH))
    inner = getattr(engine, "inner", engine)
    assert isinstance(inner, TorchEngine)
    engine.advance(0, 3)
    assert inner.steps is not None
    assert inner.steps.graph is not None


def test_the_host_does_not_wait_inside_an_advance():
    engine = make_engine(make_pack(runs_of(), TORCH))
    engine.advance(0, 2)
    assert engine.is_alive_K.all()
    torch.cuda.set_sync_debug_mode("error")
    try:
        engine.advance(2, 6)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("case", DENSE)
def test_the_fused_kernel_trains_what_the_compiled_engine_trains(case):
    if not has_kernel_compiler():
        pytest.skip("the extra gpu is not installed: pip install 'symstudy[gpu]'")
    runs = dense_runs_of(**DENSE[case])
    expected, found = (make_engine(make_pack(runs, config)) for config in (CPU, GPU))
    assert isinstance(found, FusedEngine)
    start = found.theta_KP.cpu().clone()
    for engine in (expected, found):
        engine.advance(0, 10)
        engine.advance(10, 20)
    moved = (expected.theta_KP - start).abs().max()
    is_double = runs[0].cell.train.dtype == "float64"
    error = (found.theta_KP.cpu() - expected.theta_KP).abs().max()
    assert error <= (1e-9 if is_double else 1e-3) * moved


def test_a_run_of_the_fused_kernel_has_the_bits_of_the_run_alone():
    if not has_kernel_compiler():
        pytest.skip("the extra gpu is not installed: pip install 'symstudy[gpu]'")
    runs = dense_runs_of()
    packed = make_engine(make_pack(runs, GPU))
    packed.advance(0, 30)
    for place in (0, len(runs) - 1):
        alone = make_engine(make_pack([runs[place]], GPU))
        alone.advance(0, 7)
        alone.advance(7, 23)
        assert torch.equal(alone.theta_KP[0], packed.theta_KP[place])
