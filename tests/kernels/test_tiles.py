import numpy as np
import pytest

from symstudy.kernels.jit import LINE_BYTES
from symstudy.kernels.tiles import matmul, padded, transpose

ZERO, ONE = np.int64(0), np.int64(1)


def multiply(a, b, acc=ZERO, c=None):
    rows, depth = a.shape
    cols = b.shape[1]
    wide = padded(cols, a.itemsize)
    right = np.zeros((depth, wide), a.dtype)
    right[:, :cols] = b
    out = np.full((rows, wide), np.nan, a.dtype) if c is None else np.zeros((rows, wide), a.dtype)
    if c is not None:
        out[:, :cols] = c
    flat = (out.reshape(-1), a.reshape(-1), right.reshape(-1))
    matmul(
        flat[0], ZERO, wide, flat[1], ZERO, depth, ONE, flat[2], ZERO, wide, rows, wide, depth, acc
    )
    return out[:, :cols]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 3, 7), (6, 16, 64), (13, 40, 33), (70, 9, 129)])
def test_matmul_is_the_product_whatever_the_shape(kind, shape):
    rows, depth, cols = shape
    rng = np.random.default_rng(0)
    a = rng.normal(size=(rows, depth)).astype(kind)
    b = rng.normal(size=(depth, cols)).astype(kind)
    tolerance = 1e-5 if kind is np.float32 else 1e-13
    np.testing.assert_allclose(multiply(a, b), a @ b, atol=tolerance * depth)


def test_matmul_adds_to_what_is_there():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(5, 6)), rng.normal(size=(6, 7)), rng.normal(size=(5, 7))
    np.testing.assert_allclose(multiply(a, b, ONE, c), c + a @ b, atol=1e-13)


def test_matmul_reads_a_transposed_matrix_in_place():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(6, 9)), rng.normal(size=(6, 8))
    out = np.zeros(9 * 8)
    matmul(out, ZERO, 8, a.reshape(-1), ZERO, ONE, 9, b.reshape(-1), ZERO, 8, 9, 8, 6, ZERO)
    np.testing.assert_allclose(out.reshape(9, 8), a.T @ b, atol=1e-13)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_transpose_moves_whole_blocks(kind):
    rng = np.random.default_rng(3)
    line = LINE_BYTES // np.dtype(kind).itemsize
    source = np.zeros(3 * line * 3 * line + line * line, kind)
    view = source[: 9 * line * line].reshape(3 * line, 3 * line)
    view[:] = rng.normal(size=view.shape)
    target = np.zeros_like(source)
    transpose(source, ZERO, 3 * line, target, 3 * line, 2 * line + 1, line + 3)
    moved = target[: 9 * line * line].reshape(3 * line, 3 * line)
    expected = view[: 2 * line + 1, : line + 3].T
    np.testing.assert_array_equal(moved[: line + 3, : 2 * line + 1], expected)
