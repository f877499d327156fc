"""Small products of one sample each, for many samples at once: the arithmetic of attention.

The matrices of a head, say 8 tokens by 8 numbers, are too small for the register tiles of
`symstudy.kernels.tiles`, and there is one for every sample. Here a vector holds the same entry of
the matrices of 16 samples (8 in float64), so that a tile of 4 x 4 entries is 16 registers, whatever
the matrices. Samples are contiguous; the other strides are free, so a transposed operand costs
nothing. A remainder of half a vector, on processors whose vectors fill a cache line, is computed in
half vectors.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from symstudy.kernels.jit import Floats, Index, Real, compiled_apart, has_many_registers, stay_apart
from symstudy.kernels.vector_instructions import VECTOR_BYTES, Tile, arguments_of, cgutils

__all__ = ["SAMPLE_BYTES", "sample_products"]

SAMPLE_BYTES = 32
"""A row of samples fills a whole number of so many bytes."""


def make_sample_tile(rows: int, cols: int, parts: int) -> Callable[..., None]:
    """Return the kernel of a tile of `rows` by `cols` entries of one vector of samples.

    The kernel assigns to `C[m, n, :]` the product `scale sum_k A[m, k, :] B[k, n, :]`; the entries
    of each operand have strides of their own, in elements.

    Args:
        rows: Rows of the tile.
        cols: Its columns.
        parts: 1 for whole vectors, 2 for half ones.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = arguments_of(context, builder, signature, args, parts)
        _, _, c_m, c_n, _, _, a_m, a_k, _, _, b_k, b_n, depth, scale = args
        numbers, c_ptr, a_ptr, b_ptr = of.numbers, of.moved(0), of.moved(4), of.moved(8)

        def moved(start: Any, stride: Any, steps: int) -> Any:
            return numbers.move(start, builder.mul(stride, numbers.integer(steps)))

        tile = Tile(numbers, rows, cols)
        tile.clear()
        with cgutils.for_range(builder, depth) as loop:
            a_at = numbers.move(a_ptr, builder.mul(loop.index, a_k))
            b_at = numbers.move(b_ptr, builder.mul(loop.index, b_k))
            columns = [numbers.load(moved(b_at, b_n, n)) for n in range(cols)]
            for m in range(rows):
                tile.add(m, numbers.load(moved(a_at, a_m, m)), columns)
        scales = numbers.splat(scale)
        for (m, n), total in tile.sums():
            numbers.store(builder.fmul(scales, total), moved(moved(c_ptr, c_m, m), c_n, n))
        return context.get_dummy_value()

    def sample_tile(
        typing: Any,
        c_arr: Any,
        c_off: Any,
        c_m: Any,
        c_n: Any,
        a_arr: Any,
        a_off: Any,
        a_m: Any,
        a_k: Any,
        b_arr: Any,
        b_off: Any,
        b_k: Any,
        b_n: Any,
        depth: Any,
        scale: Any,
    ) -> Any:
        size = [types.intp] * 3
        arrays = c_arr, *size, a_arr, *size, b_arr, *size
        return types.void(*arrays, types.intp, c_arr.dtype), emit

    return intrinsic(sample_tile)


# Accumulators, a column of entries and one more must fit the registers: 32 or 16 of them.
TALL = 4 if has_many_registers() else 2
tile_t4 = make_sample_tile(TALL, 4, 1)
tile_t1 = make_sample_tile(TALL, 1, 1)
tile_14 = make_sample_tile(1, 4, 1)
tile_11 = make_sample_tile(1, 1, 1)
half_t4 = make_sample_tile(TALL, 4, 2)
half_t1 = make_sample_tile(TALL, 1, 2)
half_14 = make_sample_tile(1, 4, 2)
half_11 = make_sample_tile(1, 1, 2)


@compiled_apart
def sample_products(
    c: Floats,
    c_off: Index,
    c_m: Index,
    c_n: Index,
    a: Floats,
    a_off: Index,
    a_m: Index,
    a_k: Index,
    b: Floats,
    b_off: Index,
    b_k: Index,
    b_n: Index,
    rows: Index,
    cols: Index,
    depth: Index,
    samples: Index,
    scale: Real,
) -> None:
    """Assign to C[m, n, :] the products scale sum_k A[m, k, :] B[k, n, :] of `samples` samples.

    Each operand is a flat array with an offset and two strides, in items; the samples of an entry
    are contiguous and fill a whole number of `SAMPLE_BYTES`. C must not lie in A or B.

    Args:
        c: Written.
        c_off: Where C begins.
        c_m: Stride of its rows.
        c_n: Stride of its columns.
        a: Holds A, likewise.
        a_off: Where A begins.
        a_m: Stride of its rows.
        a_k: Stride of the sum.
        b: Holds B, likewise.
        b_off: Where B begins.
        b_k: Stride of the sum.
        b_n: Stride of its columns.
        rows: Rows of C.
        cols: Columns of C.
        depth: Terms of the sum.
        samples: Samples.
        scale: Factor, in the type of the arrays.
    """
    stay_apart()
    lanes = VECTOR_BYTES // c.itemsize
    i = 0
    while i < samples:
        is_half = samples - i < lanes
        m = 0
        while m < rows:
            is_tall = rows - m >= TALL
            a_at = a_off + m * a_m + i
            n = 0
            while n < cols:
                c_at = c_off + m * c_m + n * c_n + i
                b_at = b_off + n * b_n + i
                if cols - n >= 4:
                    if is_half:
                        if is_tall:
                            half_t4(
                                c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                                depth, scale,
                            )  # fmt: skip
                        else:
                            half_14(
                                c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                                depth, scale,
                            )  # fmt: skip
                    elif is_tall:
                        tile_t4(
                            c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                            depth, scale,
                        )  # fmt: skip
                    else:
                        tile_14(
                            c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                            depth, scale,
                        )  # fmt: skip
                    n += 4
                else:
                    if is_half:
                        if is_tall:
                            half_t1(
                                c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                                depth, scale,
                            )  # fmt: skip
                        else:
                            half_11(
                                c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                                depth, scale,
                            )  # fmt: skip
                    elif is_tall:
                        tile_t1(
                            c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                            depth, scale,
                        )  # fmt: skip
                    else:
                        tile_11(
                            c, c_at, c_m, c_n, a, a_at, a_m, a_k, b, b_at, b_k, b_n,
                            depth, scale,
                        )  # fmt: skip
                    n += 1
            m += TALL if is_tall else 1
        i += lanes // 2 if is_half else lanes
