"""What augments: operations against references, and that only step, seed and samples count."""

import numpy as np
import pytest

from symstudy.datasets.augmentation import Augmentation, augment_steps
from symstudy.errors import LaunchError, ModelError, StudyFileError
from symstudy.study import PackConfig
from symstudy.testing.checkpointers import PausesOnce
from symstudy.testing.images import draw_images
from symstudy.training import Paused, train_pack
from symstudy.training.data import PackData

X = draw_images(12, (3, 6, 5)).x.astype(np.float32)
ROWS = X.reshape(12, -1)
NAMES = ("shift", "crop", "flip")
CODE = """
def jitter(x, generator):
    return x + 0.1 * generator.normal(size=x.shape)
def short(x, generator):
    return x[:1]
def broken(x, generator):
    return x * float("nan")
"""


def once(name, first=3, steps=2, pixels=2):
    made = Augmentation((name,), pixels, (3, 6, 5))
    return augment_steps(ROWS, made, 0, first, steps).reshape(X.shape)


@pytest.fixture
def images(place):
    """The data table of an archive of images."""
    x = draw_images(20, (1, 6, 6)).x
    np.savez(place / "a.npz", x=x, y=np.arange(20) % 2)
    return {"kind": "file", "task": "classification", "train": "a.npz", "standardise": "inputs"}


@pytest.fixture
def own(place):
    """A module of functions that augment, beside the study."""
    (place / "own_augment.py").write_text(CODE)
    return place / "own_augment.py"


@pytest.mark.parametrize(("name", "mode"), [("shift", "constant"), ("crop", "reflect")])
def test_moved_images_are_windows_of_padded_ones(name, mode):
    out = once(name)
    padded = np.pad(X, [(0, 0), (0, 0), (2, 2), (2, 2)], mode=mode)
    windows = [(i, j) for i in range(5) for j in range(5)]
    found = set()
    for n in range(12):
        fits = [
            (i, j) for i, j in windows if np.array_equal(out[n], padded[n, :, i : i + 6, j : j + 5])
        ]
        assert fits
        found.add(fits[0])
    assert len(found) > 4


def test_a_flip_mirrors_about_half_of_the_images():
    out = once("flip")
    is_same = (out == X).all(axis=(1, 2, 3))
    is_mirrored = (out == X[..., ::-1]).all(axis=(1, 2, 3))
    assert (is_same ^ is_mirrored).all()
    assert 2 <= is_mirrored.sum() <= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_step_does_not_depend_on_the_block_that_it_is_in(name):
    whole = once(name, first=3, steps=2)
    made = Augmentation((name,), 2, (3, 6, 5))
    alone = augment_steps(ROWS[6:], made, 0, 4, 1).reshape(6, 3, 6, 5)
    np.testing.assert_array_equal(whole[6:], alone)
    assert not np.array_equal(once(name, first=9), whole)


def test_moves_larger_than_the_image_are_possible():
    assert np.isfinite(once("crop", pixels=40)).all()
    assert once("shift", pixels=40).shape == X.shape


def test_training_batches_alone_are_augmented(images, study_on):
    study = study_on({**images, "augment": list(NAMES)}, sweep={"seed": 2})
    data = PackData(study.runs(), np.dtype(np.float32))
    plain = PackData(study_on(images, sweep={"seed": 2}).runs(), np.dtype(np.float32))
    np.testing.assert_array_equal(data.train.x, plain.train.x)
    np.testing.assert_array_equal(data.test.x, plain.test.x)
    block, expected = data.block(4, 3), plain.block(4, 3)
    for lane in range(2):
        rows = expected.rows[expected.lane_rows[lane]].reshape(-1)
        y = block.split.y[block.split.lane_y[lane]][block.rows[0].reshape(-1)]
        np.testing.assert_array_equal(y, plain.train.y[plain.train.lane_y[lane]][rows])
        x = block.split.x[block.split.lane_x[lane]]
        assert not np.array_equal(x, plain.train.x[plain.train.lane_x[lane]][rows])


def test_the_tasks_of_all_seeds_share_their_samples(images, study_on):
    data = PackData(study_on(images, sweep={"seed": 3}).runs(), np.dtype(np.float32))
    assert data.train.x.shape[0] == data.train.y.shape[0] == 1
    assert np.shares_memory(data.train.x, data.tasks[0].x_train)
    noisy = study_on(images, sweep={"data.label_noise": [0.0, 0.5], "seed": 3})
    split = PackData(noisy.runs(), np.dtype(np.float32)).train
    assert (split.x.shape[0], split.y.shape[0]) == (1, 4)


AUGMENTED = {"data.label_noise": [0.0, 0.3], "seed": 2}


def test_a_pack_equals_its_runs_alone(images, study_on, trained):
    study = study_on({**images, "augment": list(NAMES)}, sweep=AUGMENTED)
    packed = trained(study)["test_loss"]
    alone = [train_pack([run], study.pack).runs["test_loss"][0] for run in study.runs()]
    np.testing.assert_array_equal(packed, alone)
    plain = trained(study_on(images, sweep={"seed": 2}))["test_loss"]
    assert not set(packed.tolist()) & set(plain.tolist())


@pytest.mark.parametrize("batch", [6, "full"])
def test_both_engines_train_on_the_same_batches(images, study_on, batch):
    data = {**images, "augment": list(NAMES), "label_noise": 0.2, "noise_mode": "online"}
    study = study_on(data, train={"lr": 0.01, "batch_size": batch, "steps": 8})
    compiled, by_torch = (
        train_pack(study.runs(), PackConfig(engine=engine)).runs["test_loss"]
        for engine in ("compiled", "torch")
    )
    np.testing.assert_allclose(compiled, by_torch, rtol=1e-4)


def test_a_pack_resumed_has_the_bits_of_one_that_was_not(
    images, own, study_on, trained, monkeypatch
):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    study = study_on({**images, "augment": [*NAMES, "own_augment:jitter"]})
    pausing = PausesOnce(4)
    with pytest.raises(Paused):
        train_pack(study.runs(), study.pack, checkpointer=pausing)
    assert pausing.state is not None
    assert 0 < pausing.state["clock"][0] < 8
    resumed = train_pack(study.runs(), study.pack, checkpointer=pausing).runs["test_loss"]
    np.testing.assert_array_equal(resumed, trained(study)["test_loss"])


def test_a_function_of_ones_own_draws_from_the_run(images, own, study_on, trained):
    study = study_on({**images, "augment": ["flip", "own_augment:jitter"]}, sweep={"seed": 2})
    first = trained(study)["test_loss"]
    np.testing.assert_array_equal(first, trained(study)["test_loss"])
    assert first[0] != trained(study_on({**images, "augment": ["flip"]}))["test_loss"][0]


def test_the_source_of_a_function_counts_and_must_not_change(images, own, study_on, trained):
    data = {**images, "augment": ["own_augment:jitter"]}
    before = study_on(data)
    own.write_text(CODE.replace("0.1", "0.2"))
    assert study_on(data).cells[0].cell_id != before.cells[0].cell_id
    with pytest.raises(LaunchError, match=r"data.augment must be as it was"):
        trained(before)


@pytest.mark.parametrize(("name", "what"), [("short", "returned shape"), ("broken", "NaN")])
def test_what_a_function_returns_is_checked(images, own, study_on, trained, name, what):
    with pytest.raises(ModelError, match=what):
        trained(study_on({**images, "augment": [f"own_augment:{name}"]}))


@pytest.mark.parametrize(
    ("names", "what"),
    [(["flp"], "Did you mean 'flip'"), (["own_augment:no"], "has no 'no'")],
)
def test_what_is_not_known_is_refused(images, own, study_on, names, what):
    with pytest.raises(StudyFileError, match=what):
        study_on({**images, "augment": names})


@pytest.mark.parametrize("train", [{"optimizer": "lbfgs", "dtype": "float64"},
                                   {"polish": 5, "lr": 0.1, "dtype": "float64"}])  # fmt: skip
def test_what_minimises_does_not_augment(images, study_on, train):
    with pytest.raises(StudyFileError, match="nothing stands still"):
        study_on({**images, "augment": ["flip"]}, train={"batch_size": "full", **train})
