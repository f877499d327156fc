import pytest
import torch

from symstudy.errors import StudyFileError
from symstudy.models.fcn.network import Fcn
from symstudy.training.loop import make_engine, make_pack


def start(model, seeds=(0, 1)):
    return model.initialise(list(seeds), torch.ones(len(seeds), dtype=torch.float64))


def block(model, theta, name):
    b = next(b for b in model.layout.blocks if b.name == name)
    return theta[:, b.offset : b.stop].view(len(theta), *b.shape)


def test_blocks_of_neurons_start_with_equal_bits():
    model = Fcn([3, 6, 6, 2], "tanh", init_copies=3)
    theta = start(model)
    w2, w3 = block(model, theta, "layers.1.weight"), block(model, theta, "layers.2.weight")
    for block_start in (0, 3):
        for other in (1, 2):
            assert (w2[:, block_start] == w2[:, block_start + other]).all()
            assert (w2[:, :, block_start] == w2[:, :, block_start + other]).all()
            assert (w3[:, :, block_start] == w3[:, :, block_start + other]).all()
    assert (w2[:, 0] != w2[:, 3]).any()


def test_copies_are_of_the_neurons_that_would_have_started():
    plain, copied = Fcn([3, 6, 2], "tanh"), Fcn([3, 6, 2], "tanh", init_copies=4)
    ours = block(copied, start(copied), "layers.0.weight")
    theirs = block(plain, start(plain), "layers.0.weight")
    assert (ours == theirs[:, [0, 0, 0, 0, 4, 4]]).all()


def test_hidden_layers_start_in_a_common_subspace():
    model = Fcn([5, 8, 8, 4], "linear", bias=False, init_rank=2)
    theta = start(model)
    w1, w2, w3 = (block(model, theta, f"layers.{i}.weight") for i in range(3))
    for inner, outer in ((w1, w2), (w2, w3)):
        both = torch.cat([inner, outer.transpose(1, 2)], dim=2)
        values = torch.linalg.svdvals(both)
        assert (values[:, 1] > 0.1).all()
        assert (values[:, 2] < 1e-12).all()


def test_a_rank_as_large_as_the_width_changes_nothing():
    whole, plain = Fcn([5, 8, 4], "linear", init_rank=8), Fcn([5, 8, 4], "linear")
    torch.testing.assert_close(start(whole), start(plain))


def test_copies_of_a_low_rank_layer_keep_both():
    model = Fcn([5, 8, 4], "linear", bias=False, init_rank=2, init_copies=2)
    theta = start(model)
    w1, w2 = block(model, theta, "layers.0.weight"), block(model, theta, "layers.1.weight")
    assert (w1[:, 0::2] == w1[:, 1::2]).all()
    values = torch.linalg.svdvals(torch.cat([w1, w2.transpose(1, 2)], dim=2))
    assert (values[:, 2] < 1e-12).all()


@pytest.mark.parametrize("width", [4, 9])
def test_a_balanced_start_is_aligned_with_the_axes(width):
    model = Fcn([5, width, width, 4], "linear", bias=False, init_balanced=True)
    theta = 0.3 * start(model)
    w1, w2, w3 = (block(model, theta, f"layers.{i}.weight") for i in range(3))
    expected = 0.3**3 * torch.eye(4, 5, dtype=torch.float64).expand(2, 4, 5)
    torch.testing.assert_close(w3 @ w2 @ w1, expected)
    torch.testing.assert_close(w1 @ w1.mT, w2.mT @ w2)
    torch.testing.assert_close(w2 @ w2.mT, w3.mT @ w3)
    assert (w1[0] - w1[1]).abs().max() > 0.01
    values = torch.linalg.svdvals(w2)
    assert torch.allclose(values[:, :4], torch.tensor(0.3).double())


def test_the_key_of_a_balanced_start_reaches_the_network(study_of):
    linear = {"kind": "deep_linear", "depth": 2, "width": 8, "init_scale": 0.5}
    study = study_of(model={**linear, "init_balanced": True})
    pack = make_pack(study.runs(), study.pack)
    weights = block(pack.model, make_engine(pack).theta_KP, "layers.0.weight")
    torch.testing.assert_close(
        torch.linalg.svdvals(weights[0].double()).max(), torch.tensor(0.5).double()
    )
    with pytest.raises(StudyFileError, match="`model.init_balanced` must be false where"):
        study_of(model={**linear, "init_balanced": True, "init_rank": 2})


@pytest.mark.parametrize("options", [{"init_copies": 2}, {"init_rank": 3}, {"init_balanced": True}])
def test_symmetric_starts_depend_on_the_seed_alone(options):
    model = Fcn([4, 6, 2], "tanh", **options)
    assert (start(model, (3, 1, 2))[1] == start(model, (1,))[0]).all()


def test_the_keys_reach_the_network_and_the_identifier(study_of):
    plain, other = (
        study_of(model={"init_copies": copies, "init_rank": 3}).cells[0] for copies in (1, 4)
    )
    assert plain.cell_id != other.cell_id
    pack = make_pack(study_of(model={"init_copies": 4}).runs(), study_of().pack)
    theta = make_engine(pack).theta_KP
    w1 = block(pack.model, theta, "layers.0.weight")
    assert (w1[:, 0] == w1[:, 3]).all()


def test_a_rank_above_the_width_is_refused(study_of):
    with pytest.raises(StudyFileError, match="at most `model.width`, but got 9 and 8"):
        study_of(model={"init_rank": 9})


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_g10_copies_stay_equal_to_the_last_bit(study_of, optimizer):
    study = study_of(
        model={"width": 12, "init_copies": 4},
        train={"optimizer": optimizer, "lr": 0.01, "gamma": 1e-3, "dtype": "float64"},
    )
    pack = make_pack(study.runs(), study.pack)
    engine = make_engine(pack)
    engine.advance(0, 200)
    w1 = block(pack.model, engine.theta_KP, "layers.0.weight")[0].view(3, 4, -1)
    w2 = block(pack.model, engine.theta_KP, "layers.1.weight")[0].T.reshape(3, 4, -1)
    for values in (w1, w2):
        assert (values == values[:, :1]).all()
    assert (w1[0] != w1[1]).any()
