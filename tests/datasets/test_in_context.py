import numpy as np
import pytest

from symstudy.datasets import build_task
from symstudy.datasets.in_context import InContextConfig


def parts(config, seed=0):
    """Return tokens and labels of test sequences, and the coefficients that the tokens tell."""
    task = build_task(config, seed)
    tokens = task.x_test.reshape(-1, config.length, config.token_dim)
    u, combined = tokens[..., :-1], tokens[..., -1]
    solve = [
        np.linalg.lstsq(a[:-1], b[:-1], rcond=None)[0] for a, b in zip(u, combined, strict=True)
    ]
    return tokens, task.y_test[:, 0], np.stack(solve)


def test_the_target_is_what_the_other_tokens_tell_of_the_last():
    tokens, y, coefficients = parts(InContextConfig(length=9, token_dim=5))
    np.testing.assert_allclose((tokens[:, -1, :-1] * coefficients).sum(axis=1), y, atol=1e-8)
    assert (tokens[:, -1, -1] == 0).all()


@pytest.mark.parametrize("task_dim", [1, 2, 3, 0])
def test_coefficients_lie_in_a_subspace_and_keep_their_size(task_dim):
    config = InContextConfig(task_dim=task_dim, test_samples=5000)
    _, y, coefficients = parts(config)
    values = np.linalg.svd(coefficients, compute_uv=False)
    assert (values > 1e-6 * values[0]).sum() == (task_dim or 3)
    assert np.mean(y**2) == pytest.approx(3.0, rel=0.15)


def test_a_subspace_holds_those_of_fewer_dimensions():
    rows = [np.linalg.svd(parts(InContextConfig(task_dim=d))[2])[2][:d] for d in (1, 2)]
    np.testing.assert_allclose(rows[1].T @ rows[1] @ rows[0].T, rows[0].T, atol=1e-8)


def test_the_scale_multiplies_tokens_and_targets():
    whole, half = (build_task(InContextConfig(input_scale=s), 1) for s in (1.0, 0.5))
    np.testing.assert_allclose(half.x_test, 0.5 * whole.x_test)
    np.testing.assert_allclose(half.y_test, 0.5 * whole.y_test)


@pytest.mark.parametrize("batch", [1, 8, 9])
def test_fresh_batches_do_not_depend_on_how_many_are_asked_for(batch):
    # To the bit: a pack may be cut into chunks anywhere.
    task = build_task(InContextConfig(), 2)
    x, y = task.fresh(10, 40, batch)
    for first, steps in ((0, 1), (2, 1), (5, 3), (7, 33)):
        again, labels = task.fresh(10 + first, steps, batch)
        rows = slice(first * batch, (first + steps) * batch)
        np.testing.assert_array_equal(x[rows], again)
        np.testing.assert_array_equal(y[rows], labels)
    assert task.x_train.shape == (0, 32)


def test_a_fixed_data_set_has_other_sequences_than_the_test():
    task = build_task(InContextConfig(fresh=False, samples=6), 0)
    assert task.x_train.shape == (6, 32)
    assert not np.isin(task.y_train, task.y_test).any()


def test_more_dimensions_than_coefficients_are_refused():
    with pytest.raises(ValueError, match="`data.token_dim` - 1, the number of coefficients"):
        InContextConfig(token_dim=4, task_dim=4)
