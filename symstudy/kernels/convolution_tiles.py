"""Register tiles of convolutions, for activations with the samples of a chunk innermost.

Activations lie as `[channel, pixel, sample]`, and the vectors of these tiles are samples. A
convolution gathers: each pixel of its result is a sum over a list of pixels that it sees, each with
a matrix of weights, so one tile serves every kernel, stride and border, and the way down too. The
gradient of the weights is a sum over pairs of pixels of products of two channels, sample by sample.

References: Georganas et al. 2018, "Anatomy of high-performance deep learning convolutions on SIMD
architectures" (tiles that stay in registers over all taps; there the vectors are channels).
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from symstudy.kernels.jit import (
    Floats,
    Index,
    Integers,
    compiled,
    compiled_inline,
    has_many_registers,
)
from symstudy.kernels.vector_instructions import VECTOR_BYTES, Tile, arguments_of, cgutils

# Accumulators, one row of samples and one broadcast must fit the registers: 32 or 16 of them.
ROWS = 8 if has_many_registers() else 4
"""Channels that one tile makes; those left over are done by tiles of half as many."""
OUTER = 4 if has_many_registers() else 2
INNER = 4
"""Channels on the two sides of one tile of the gradient of the weights."""


def make_gather(rows: int, vectors: int) -> Callable[..., None]:
    """Return the kernel of `rows` channels of one pixel, `vectors` vectors of samples each.

    The kernel adds (`acc` not 0) or assigns (`acc` 0) to C, its rows `ldc` items apart, the sum
    over the `count` entries e of the lists and the `depth` channels k of
    A[weight[e], k, row] B[pixel[e] + k ldb]: A is packed with the rows innermost.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = arguments_of(context, builder, signature, args)
        _, _, ldc, _, _, _, _, ldb, _, _, count, depth, acc = args
        numbers, c_ptr, a_ptr, b_ptr = of.numbers, of.moved(0), of.moved(3), of.moved(5)
        weight, pixel = of.data(8), of.data(9)

        tile = Tile(numbers, rows, vectors)
        places = tile.rows_apart(c_ptr, ldc)
        tile.load_or_clear(places, acc)
        with cgutils.for_range(builder, count) as entries:
            at = builder.load(builder.gep(weight, [entries.index]))
            a_tap = numbers.move(a_ptr, builder.mul(at, numbers.integer(rows)))
            b_tap = numbers.move(b_ptr, builder.load(builder.gep(pixel, [entries.index])))
            with cgutils.for_range(builder, depth) as loop:
                b_line = numbers.move(b_tap, builder.mul(loop.index, ldb))
                b_vectors = numbers.beside(b_line, vectors)
                a_line = numbers.move(a_tap, builder.mul(loop.index, numbers.integer(rows)))
                for row in range(rows):
                    one = builder.load(numbers.move(a_line, numbers.integer(row)))
                    tile.add(row, numbers.splat(one), b_vectors)
        tile.store(places)
        return context.get_dummy_value()

    def gather(
        typing: Any,
        c_arr: Any,
        c_off: Any,
        ldc: Any,
        a_arr: Any,
        a_off: Any,
        b_arr: Any,
        b_off: Any,
        ldb: Any,
        w_arr: Any,
        p_arr: Any,
        count: Any,
        depth: Any,
        acc: Any,
    ) -> Any:
        z = types.intp
        return types.void(c_arr, z, z, a_arr, z, b_arr, z, z, w_arr, p_arr, z, z, z), emit

    return intrinsic(gather)


def make_outer(rows: int, cols: int) -> Callable[..., None]:
    """Return the kernel of the products of `rows` by `cols` channels, summed over pairs of pixels.

    The kernel adds to the vectors S[row, col] the sum over the pairs from `first` to `last` and the
    vectors v of a pixel's samples, a whole number of cache lines, of
    D[d_at[pair] + row ldd + v] X[x_at[pair] + col ldx + v].
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = arguments_of(context, builder, signature, args)
        _, _, _, _, ldd, _, _, ldx, _, _, first, last, samples = args
        numbers, s_ptr, d_ptr, x_ptr = of.numbers, of.moved(0), of.moved(2), of.moved(5)
        d_at, x_at = of.data(8), of.data(9)

        def target(row: int, col: int) -> Any:
            return numbers.move(s_ptr, numbers.integer((row * cols + col) * numbers.lanes))

        tile = Tile(numbers, rows, cols)
        places = tile.places(target)
        tile.load(places)

        def add_products(d_line: Any, x_line: Any) -> None:
            x_vectors = [
                numbers.load(numbers.move(x_line, builder.mul(ldx, numbers.integer(col))))
                for col in range(cols)
            ]
            for row in range(rows):
                at = builder.mul(ldd, numbers.integer(row))
                tile.add(row, numbers.load(numbers.move(d_line, at)), x_vectors)

        def add_pairs(vectors: int) -> None:
            step = numbers.integer(numbers.lanes * vectors)
            with cgutils.for_range_slice(builder, first, last, numbers.integer(1)) as (pair, _):
                d_pixel = numbers.move(d_ptr, builder.load(builder.gep(d_at, [pair])))
                x_pixel = numbers.move(x_ptr, builder.load(builder.gep(x_at, [pair])))
                with cgutils.for_range_slice(builder, numbers.integer(0), samples, step) as (v, _):
                    for vector in range(vectors):
                        at = builder.add(v, numbers.integer(vector * numbers.lanes))
                        add_products(numbers.move(d_pixel, at), numbers.move(x_pixel, at))

        one_vector = numbers.integer(numbers.lanes)
        with builder.if_else(builder.icmp_signed("==", samples, one_vector)) as (single, several):
            with single:
                add_pairs(1)
            with several:
                add_pairs(2)
        tile.store(places)
        return context.get_dummy_value()

    def outer(
        typing: Any,
        s_arr: Any,
        s_off: Any,
        d_arr: Any,
        d_off: Any,
        ldd: Any,
        x_arr: Any,
        x_off: Any,
        ldx: Any,
        da_arr: Any,
        xa_arr: Any,
        first: Any,
        last: Any,
        samples: Any,
    ) -> Any:
        z = types.intp
        return types.void(s_arr, z, d_arr, z, z, x_arr, z, z, da_arr, xa_arr, z, z, z), emit

    return intrinsic(outer)


def make_total() -> Callable[..., Any]:
    """Return the kernel that adds the sum of one vector's numbers to a number."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = arguments_of(context, builder, signature, args)
        numbers, place, source = of.numbers, of.moved(0), of.moved(2)
        total = numbers.total(numbers.load(source))
        builder.store(builder.fadd(builder.load(place), total), place)
        return context.get_dummy_value()

    def add_total(typing: Any, t_arr: Any, t_off: Any, s_arr: Any, s_off: Any) -> Any:
        return types.void(t_arr, types.intp, s_arr, types.intp), emit

    return intrinsic(add_total)


add_total = make_total()
gather_82, gather_42, gather_22, gather_12 = (make_gather(rows, 2) for rows in (8, 4, 2, 1))
gather_81, gather_41, gather_21, gather_11 = (make_gather(rows, 1) for rows in (8, 4, 2, 1))
outer_full = make_outer(OUTER, INNER)
outer_tall = make_outer(OUTER, 1)
outer_wide = make_outer(1, INNER)
outer_one = make_outer(1, 1)


@compiled
def rows_of_group(left: Index) -> Index:
    """Return how many of the `left` channels the next tile takes: `ROWS`, or a power of two."""
    if left >= ROWS:
        return ROWS
    if left >= 4:
        return 4
    return 2 if left >= 2 else 1


@compiled_inline
def gather(
    rows: Index,
    c: Floats,
    c_off: Index,
    ldc: Index,
    a: Floats,
    a_off: Index,
    b: Floats,
    ldb: Index,
    weight: Integers,
    pixel: Integers,
    count: Index,
    depth: Index,
    acc: Index,
    samples: Index,
) -> None:
    """Make `rows` (of `rows_of_group`) channels of one pixel, `samples` samples each.

    See `make_gather`.
    """
    lanes = VECTOR_BYTES // c.itemsize
    v = 0
    while v < samples:
        at = c_off + v
        if samples - v >= 2 * lanes:
            if rows == 8:
                gather_82(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            elif rows == 4:
                gather_42(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            elif rows == 2:
                gather_22(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            else:
                gather_12(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            v += 2 * lanes
        else:
            if rows == 8:
                gather_81(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            elif rows == 4:
                gather_41(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            elif rows == 2:
                gather_21(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            else:
                gather_11(c, at, ldc, a, a_off, b, v, ldb, weight, pixel, count, depth, acc)
            v += lanes
