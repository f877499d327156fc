"""Every kind of module in torch: packed as alone, resumed to the same bits, left alone by probes.

What the compiled kernels train of them is in `test_own_kernels.py` and `test_image_kernels.py`.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from symstudy.components import registry
from symstudy.errors import LaunchError, ModelError
from symstudy.models.own.draws import seeded_by, step_key
from symstudy.models.own.network import OwnModel
from symstudy.models.own.outputs import plain, stack
from symstudy.study import PackConfig
from symstudy.testing.checkpointers import PausesOnce
from symstudy.training import Paused, train_pack
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import make_pack

TORCH = PackConfig(device="cpu", engine="torch")
TOGETHER, APART = "torch-cpu", "one-by-one-torch-cpu"
MODULES: dict[str, tuple[str, dict[str, object]]] = {
    "Residual": (TOGETHER, {"channels": "{channels}", "num_classes": "{outputs}"}),
    "Recurrent": (APART, {}),
    "gpt": (TOGETHER, {"width": 6}),
    "Spectral": (APART, {}),
    "WeightNormed": (TOGETHER, {}),
    "Tied": (TOGETHER, {}),
    "TwoHeads": (TOGETHER, {}),
    "TokenLogits": (TOGETHER, {}),
    "Kan": (TOGETHER, {}),
    "Dropped": (APART, {}),
    "Branching": (APART, {}),
    "Averaging": (TOGETHER, {}),
}
QUICK = ("Residual", "Spectral", "Dropped", "Averaging")
"""Those whose runs hold more than parameters, or draw."""
LOSSES = {"TwoHeads": "reconstructing", "TokenLogits": "of_pairs"}
MEASURES = ("test_loss", "train_loss", "theta_norm", "grad_norm", "test_accuracy")


@pytest.fixture(autouse=True)
def sample_modules(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    registry.find_component.cache_clear()


@pytest.fixture
def runs_of(study_of):
    def make(name, seeds=3, steps=12, **train):
        data = "Tokens" if name == "gpt" else "Pictures"
        loss = {"loss": f"sample_modules:{LOSSES[name]}"} if name in LOSSES else {}
        study = study_of(
            model={"kind": f"sample_modules:{name}", **MODULES[name][1]},
            data={"kind": f"sample_modules:{data}"},
            train={"optimizer": "adam", "batch_size": 8, "steps": steps, **loss, **train},
            probe={"num": 3, "detail": 3, "samples": 8},
            sweep={"seed": seeds},
        )
        return study.runs()

    return make


def buffers_of(engine: TorchEngine, lane: int) -> dict[str, torch.Tensor]:
    return {name: each[lane].clone() for name, each in engine.buffers.items()}


def own_pack(runs):
    """Return the pack of `runs`, and their module as a pack knows it."""
    pack = make_pack(runs, TORCH)
    assert isinstance(pack.model, OwnModel)
    return pack, pack.model


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, each in left.items():
        assert torch.equal(each, right[name]), name


@pytest.mark.parametrize("name", MODULES)
def test_a_run_in_a_pack_is_the_run_alone_and_seeds_differ(runs_of, name):
    runs = runs_of(name)
    packed, alone = train_pack(runs, TORCH).runs, train_pack(runs[1:2], TORCH).runs
    assert packed["engine"] == [MODULES[name][0]] * 3
    for measure in MEASURES:
        np.testing.assert_array_equal(packed[measure][1], alone[measure][0], err_msg=measure)
    assert len(set(packed["test_loss"].tolist())) == 3
    assert (packed["train_loss"] < 5).all()


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODULES],
)
def test_a_pack_goes_on_from_a_state_to_the_same_bits(runs_of, name, monkeypatch):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    runs = runs_of(name, seeds=2)
    pausing = PausesOnce(6)
    with pytest.raises(Paused):
        train_pack(runs, TORCH, checkpointer=pausing)
    assert pausing.state is not None
    assert 0 < pausing.state["clock"][0] < 12
    resumed, whole = (
        train_pack(runs, TORCH, checkpointer=pausing).runs,
        train_pack(runs, TORCH).runs,
    )
    for measure in MEASURES:
        np.testing.assert_array_equal(resumed[measure], whole[measure], err_msg=measure)


@pytest.mark.parametrize("name", MODULES)
def test_a_run_steps_as_the_module_by_itself(runs_of, name):
    runs = runs_of(name, steps=3, optimizer="sgd", gamma=0.0, lr=0.05)
    pack, model = own_pack(runs)
    engine = TorchEngine(pack)
    engine.advance(0, 3)
    module = model.factory.make(1).train()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.05)
    for step in range(3):
        rows = pack.data.block(step, 1).rows[pack.data.lane_seed[1], 0]
        x = model.shaped(torch.from_numpy(pack.data.train.x[1:2, rows]))
        y = torch.from_numpy(pack.data.train.y[1:2, rows])
        with seeded_by(step_key(1, step)):
            returned = stack([plain(module(x[0]), name)])
        loss = pack.train.loss.per_sample(returned, y).mean()
        loss = loss / pack.train.loss.divisor(y.shape[2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained = torch.cat([p.detach().flatten() for p in module.parameters() if p.requires_grad])
    torch.testing.assert_close(engine.theta_KP[1], trained, rtol=1e-3, atol=1e-5)
    held = dict(module.named_buffers())
    for key, each in engine.buffers.items():
        torch.testing.assert_close(each[1], held[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["Residual", "Spectral"])
def test_probes_leave_the_buffers_and_training_changes_them(runs_of, name):
    pack = make_pack(runs_of(name), TORCH)
    engine = TorchEngine(pack)
    start = buffers_of(engine, 0)
    engine.evaluate(pack.data.test)
    engine.gradient(pack.data.train)
    assert_equal(buffers_of(engine, 0), start)
    engine.advance(0, 1)
    assert any(not torch.equal(each, start[key]) for key, each in buffers_of(engine, 0).items())


def test_a_frozen_run_keeps_its_buffers_in_the_batch_and_out_of_it(runs_of):
    engine = TorchEngine(make_pack(runs_of("Residual"), TORCH))
    engine.advance(0, 2)
    held = buffers_of(engine, 0)
    engine.freeze(np.array([0]))
    engine.advance(2, 1)
    engine.freeze(np.array([0, 2]))
    engine.drop_dead()
    engine.advance(3, 2)
    assert_equal(buffers_of(engine, 0), held)
    free = TorchEngine(make_pack(runs_of("Residual"), TORCH))
    free.advance(0, 5)
    assert_equal(buffers_of(engine, 1), buffers_of(free, 1))


def test_a_run_that_diverges_keeps_the_buffers_of_its_last_sound_step(runs_of):
    pack = make_pack(runs_of("Residual"), TORCH)
    engine = TorchEngine(pack)
    engine.advance(0, 2)
    held = buffers_of(engine, 0)
    engine.lanes.theta[0] = torch.inf
    engine.advance(2, 2)
    assert engine.diverged_K.tolist() == [2, -1, -1]
    assert_equal(buffers_of(engine, 0), held)


def test_measures_are_those_of_the_module_after_eval(runs_of):
    pack, model = own_pack(runs_of("Residual"))
    engine = TorchEngine(pack)
    engine.advance(0, 4)
    module = model.factory.make(0).eval()
    torch.nn.utils.vector_to_parameters(engine.theta_KP[0], module.parameters())
    module.load_state_dict(buffers_of(engine, 0), strict=False)
    x, y = (torch.from_numpy(each[0]) for each in (pack.data.test.x, pack.data.test.y))
    loss = torch.nn.functional.cross_entropy(module(x.view(-1, 1, 6, 6)), y)
    np.testing.assert_allclose(engine.evaluate(pack.data.test).loss_K[0], loss.item(), rtol=1e-5)


def test_accuracy_is_null_where_nothing_has_the_shape_of_the_targets(runs_of):
    assert np.isnan(train_pack(runs_of("TokenLogits"), TORCH).runs["test_accuracy"]).all()
    heads = train_pack(runs_of("TwoHeads"), TORCH).runs
    assert (heads["test_accuracy"] >= 0).all()
    # No constant answer is known for what a loss of one's own reads from a dict.
    assert np.isnan(heads["trivial_loss"]).all()


def test_a_dict_is_refused_by_a_built_in_loss(runs_of):
    with pytest.raises(ModelError, match=r"returned \{logits: \[samples, 2\], error: .*own|train"):
        train_pack(runs_of("TwoHeads", loss="squared_error"), TORCH)


def test_a_loss_that_is_not_one_number_a_sample_is_refused_with_what_it_was_given(runs_of):
    with pytest.raises(ModelError, match=r"must return one number a sample"):
        train_pack(runs_of("TokenLogits", loss="sample_modules:summed"), TORCH)


@pytest.mark.parametrize("train", [{"entropic": 0.1}, {"polish": 5, "dtype": "float64"}])
def test_batch_norm_is_refused_where_the_loss_must_be_a_function_of_parameters(runs_of, train):
    with pytest.raises(ModelError, match=r"holds buffers of its own.*use LayerNorm"):
        train_pack(runs_of("Residual", **train), TORCH)


def test_a_study_can_choose_how_runs_share_calls_and_the_engine_says_it(runs_of):
    runs = runs_of("Residual", optimizer="sgd")
    apart = train_pack(runs, PackConfig(device="cpu", engine="torch", vmap="never")).runs
    together = train_pack(runs, PackConfig(device="cpu", engine="torch", vmap="always")).runs
    assert (apart["engine"][0], together["engine"][0]) == (APART, TOGETHER)
    np.testing.assert_allclose(apart["test_loss"], together["test_loss"], rtol=1e-3)
    with pytest.raises(LaunchError, match=r"pack.vmap = 'always'.*aten::lstm.*pack.vmap=auto"):
        train_pack(runs_of("Recurrent"), PackConfig(device="cpu", vmap="always"))


def test_large_operations_go_one_by_one_by_their_work_and_not_by_time(runs_of):
    _, model = own_pack(runs_of("Residual"))
    size = model.size
    limit = 500_000 * size.calls // size.products
    assert model.adapted(limit - 1, "cpu", "auto").is_batched(training=True)
    large = model.adapted(limit + 1, "cpu", "auto")
    assert not large.is_batched(training=True)
    assert "multiplications on average" in large.reasons[True]
    assert model.adapted(limit + 1, "cuda", "auto").is_batched(training=True)


def test_a_split_that_leaves_much_is_evaluated_in_parts_with_the_same_means(runs_of, monkeypatch):
    pack = make_pack(runs_of("Residual"), TORCH)
    engine = TorchEngine(pack)
    whole = engine.evaluate(pack.data.train), engine.gradient(pack.data.train)
    seen: list[int] = []
    outputs = TorchEvaluator.outputs

    def counted(self, theta_KP, x_KBI, *rest):
        seen.append(x_KBI.shape[1])
        return outputs(self, theta_KP, x_KBI, *rest)

    monkeypatch.setattr(TorchEvaluator, "outputs", counted)
    monkeypatch.setattr("symstudy.training.engines.evaluators.LEFT_BY_A_RUN", 1)
    parts = engine.evaluate(pack.data.train), engine.gradient(pack.data.train)
    assert seen == [16, 16, 16, 16]
    np.testing.assert_allclose(parts[0].loss_K, whole[0].loss_K, rtol=1e-6)
    np.testing.assert_allclose(parts[0].accuracy_K, whole[0].accuracy_K, rtol=1e-12)
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-4, atol=1e-6)
