import numpy as np
import pytest

from symstudy.streams import Stream
from symstudy.training.data import PackData


def data_of(study):
    return PackData(study.runs(), np.dtype(np.float64))


def test_runs_of_one_seed_share_their_data(study_of):
    data = data_of(study_of(sweep={"train.gamma": [0.0, 0.1, 0.2], "seed": 2}))
    assert data.train.x.shape[0] == 2
    assert data.train.lane_x.tolist() == [0, 1] * 3
    np.testing.assert_array_equal(data.block(0, 3).lane_rows, data.train.lane_x)


def test_fixed_noise_changes_training_targets_alone(study_of):
    data = data_of(study_of(data={"label_noise": 0.5}))
    clean = data.tasks[0]
    residual = data.train.y[0] - clean.y_train
    assert 0.3 < residual.std() < 0.7
    np.testing.assert_array_equal(data.test.y[0], clean.y_test)
    assert not data.sigma.any()


OTHER_STREAMS = ("initialisation", "teacher", "train_inputs", "test_inputs", "online_noise")


def test_label_noise_has_a_stream_of_its_own(study_of):
    """Noise that repeats the draws of weights or inputs would be signal."""
    data = data_of(study_of(data={"label_noise": 0.5}))
    noise = (data.train.y[0] - data.tasks[0].y_train).ravel() / 0.5
    np.testing.assert_allclose(noise, Stream(0, "label_noise").normal(noise.size))
    for name in OTHER_STREAMS:
        other = Stream(0, name).normal(noise.size)
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.3, name


def test_noise_levels_share_their_draws(study_of):
    data = data_of(study_of(sweep={"data.label_noise": [0.0, 0.1, 0.2]}))
    clean, small, large = data.train.y
    np.testing.assert_allclose(large - clean, 2 * (small - clean))


def test_online_noise_is_drawn_at_each_step(study_of):
    data = data_of(study_of(data={"label_noise": 0.5, "noise_mode": "online"}))
    np.testing.assert_array_equal(data.train.y[0], data.tasks[0].y_train)
    block = data.block(0, 50)
    assert block.noise.shape == (1, 50, 8, 4)
    assert abs(block.noise.std() - 1) < 0.1
    np.testing.assert_array_equal(data.block(49, 1).noise[0, 0], block.noise[0, 49])


@pytest.mark.parametrize("mode", ["fixed", "online"])
def test_labels_are_flipped_at_their_rate(study_of, mode):
    data = data_of(study_of(data={"kind": "digits", "label_noise": 0.25, "noise_mode": mode}))
    if mode == "fixed":
        share = (data.train.y[0] != data.tasks[0].y_train).any(axis=1).mean()
    else:
        draws = data.block(0, 200).noise[0]
        share = (draws[..., 0] < 0.25).mean()
        assert set(np.unique(draws[..., 1])) == set(range(1, 10))
    assert abs(share - 0.25) < 0.04


def test_shuffled_batches_visit_every_sample_once_an_epoch(study_of):
    rows = data_of(study_of()).block(0, 5).rows
    assert sorted(rows.ravel().tolist()) == list(range(40))


def test_blocks_do_not_change_the_batches(study_of):
    data = data_of(study_of(train={"sampling": "replacement"}))
    whole = data.block(0, 7).rows
    np.testing.assert_array_equal(whole[:, 3:5], data.block(3, 2).rows)


def test_a_full_batch_is_written_down_once(study_of):
    block = data_of(study_of(train={"batch_size": "full"})).block(5, 100)
    assert block.rows.shape == (1, 1, 40)


@pytest.mark.parametrize(
    "data", [{}, {"fresh": True}, {"label_noise": 0.1, "noise_mode": "online"}]
)
def test_nothing_is_drawn_for_runs_that_take_no_more_steps(study_of, data):
    whole = data_of(study_of(data={"kind": "teacher_student", **data}, sweep={"seed": 4}))
    rest = whole.without(np.array([True, False, True, False]))
    assert rest.seeds == [1, 3]
    before, after = whole.block(3, 2), rest.block(3, 2)
    for lane in (1, 3):
        for name, groups in (("rows", "lane_rows"), ("noise", "lane_noise")):
            left, right = (
                getattr(each, name)[getattr(each, groups)[lane]] for each in (before, after)
            )
            np.testing.assert_array_equal(left, right)
        left, right = (each.split.x[each.split.lane_x[lane]] for each in (before, after))
        np.testing.assert_array_equal(left, right)
