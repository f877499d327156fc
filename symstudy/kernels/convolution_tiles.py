"""Register tiles of convolutions, for activations with the samples of a chunk innermost.

Activations lie as `[channel, pixel, sample]`, and the vectors of these tiles are samples. A
convolution gathers: each pixel of its result is a sum over a list of pixels that it sees, each with
a matrix of weights, so one tile serves every kernel, stride and border, and the way down too. The
gradient of the weights is a sum over pairs of pixels of products of two channels, sample by sample.

References: Georganas et al. 2018, "Anatomy of high-performance deep learning convolutions on SIMD
architectures" (tiles that stay in registers over all taps; there the vectors are channels).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from symstudy.kernels.jit import (
    Floats,
    Index,
    Integers,
    compiled,
    compiled_inline,
    has_many_registers,
)
from symstudy.kernels.tiles import VECTOR_BYTES

cgutils: Any = untyped_cgutils

# Accumulators, one row of samples and one broadcast must fit the registers: 32 or 16 of them.
ROWS = 8 if has_many_registers() else 4
"""Channels that one tile makes; those left over are done by tiles of half as many."""
OUTER = 4 if has_many_registers() else 2
INNER = 4
"""Channels on the two sides of one tile of the gradient of the weights."""


class Numbers(NamedTuple):
    """Types of LLVM for one precision, and what a tile does with vectors of them.

    Attributes:
        builder: Where instructions are written.
        item: Bytes of a number.
        lanes: Numbers of a vector.
        vector: Type of a vector.
    """

    builder: Any
    item: int
    lanes: int
    vector: Any

    def integer(self, value: int) -> Any:
        """Return a constant of 64 bits."""
        return ir.Constant(ir.IntType(64), value)

    def zero(self) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(self.vector, [0.0] * self.lanes)

    def move(self, pointer: Any, *steps: Any) -> Any:
        """Return `pointer` moved on by the sum of `steps` items."""
        total = steps[0]
        for step in steps[1:]:
            total = self.builder.add(total, step)
        return self.builder.gep(pointer, [total])

    def load(self, pointer: Any) -> Any:
        """Return the vector at `pointer`."""
        value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.item
        return value

    def store(self, value: Any, pointer: Any) -> None:
        """Write a vector to `pointer`."""
        target = self.builder.bitcast(pointer, self.vector.as_pointer())
        self.builder.store(value, target).align = self.item

    def splat(self, value: Any) -> Any:
        """Return a vector of `value` alone."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        one = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(one, undefined, first)

    def fused(self) -> Any:
        """Return the function a b + c of vectors."""
        return cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fma.v{self.lanes}f{self.item * 8}",
        )

    def total(self, value: Any) -> Any:
        """Return the sum of a vector's numbers, half and half, so in a fixed order."""
        width = self.lanes
        while width > 1:
            width //= 2
            mask = [place % width + width for place in range(self.lanes)]
            high = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), mask)
            value = self.builder.fadd(value, self.builder.shuffle_vector(value, value, high))
        return self.builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


def numbers_of(builder: Any, array_type: Any) -> Numbers:
    """Return the types of LLVM for the items of an array."""
    single = array_type.dtype == types.float32
    item = 4 if single else 8
    lanes = VECTOR_BYTES // item
    scalar = ir.FloatType() if single else ir.DoubleType()
    return Numbers(builder, item, lanes, ir.VectorType(scalar, lanes))


def make_gather(rows: int, vectors: int) -> Callable[..., None]:
    """Return the kernel of `rows` channels of one pixel, `vectors` vectors of samples each.

    The kernel adds (`acc` not 0) or assigns (`acc` 0) to C, its rows `ldc` items apart, the sum
    over the `count` entries e of the lists and the `depth` channels k of
    A[weight[e], k, row] B[pixel[e] + k ldb]: A is packed with the rows innermost.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        c_arr, c_off, ldc, a_arr, a_off, b_arr, b_off, ldb, w_arr, p_arr, count, depth, acc = args
        numbers = numbers_of(builder, signature.args[0])
        fma = numbers.fused()

        def data(position: int, array: Any) -> Any:
            return context.make_array(signature.args[position])(context, builder, array).data

        c_ptr = numbers.move(data(0, c_arr), c_off)
        a_ptr = numbers.move(data(3, a_arr), a_off)
        b_ptr = numbers.move(data(5, b_arr), b_off)
        weight, pixel = data(8, w_arr), data(9, p_arr)
        cells = [(row, col) for row in range(rows) for col in range(vectors)]
        # Stack slots become registers when LLVM promotes them; that spares us the phi nodes.
        sums = {cell: cgutils.alloca_once(builder, numbers.vector) for cell in cells}
        targets = {
            (row, col): numbers.move(
                c_ptr,
                builder.mul(ldc, numbers.integer(row)),
                numbers.integer(col * numbers.lanes),
            )
            for row, col in cells
        }
        with builder.if_else(builder.icmp_signed("!=", acc, numbers.integer(0))) as (adds, assigns):
            with adds:
                for cell in cells:
                    builder.store(numbers.load(targets[cell]), sums[cell])
            with assigns:
                for cell in cells:
                    builder.store(numbers.zero(), sums[cell])
        with cgutils.for_range(builder, count) as entries:
            at = builder.load(builder.gep(weight, [entries.index]))
            a_tap = numbers.move(a_ptr, builder.mul(at, numbers.integer(rows)))
            b_tap = numbers.move(b_ptr, builder.load(builder.gep(pixel, [entries.index])))
            with cgutils.for_range(builder, depth) as loop:
                b_line = numbers.move(b_tap, builder.mul(loop.index, ldb))
                b_vectors = [
                    numbers.load(numbers.move(b_line, numbers.integer(col * numbers.lanes)))
                    for col in range(vectors)
                ]
                a_line = numbers.move(a_tap, builder.mul(loop.index, numbers.integer(rows)))
                for row in range(rows):
                    one = builder.load(numbers.move(a_line, numbers.integer(row)))
                    factor = numbers.splat(one)
                    for col in range(vectors):
                        slot = sums[row, col]
                        total = builder.call(fma, [factor, b_vectors[col], builder.load(slot)])
                        builder.store(total, slot)
        for cell in cells:
            numbers.store(builder.load(sums[cell]), targets[cell])
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
        s_arr, s_off, d_arr, d_off, ldd, x_arr, x_off, ldx, da_arr, xa_arr, first, last, samples = (
            args
        )
        numbers = numbers_of(builder, signature.args[0])
        fma = numbers.fused()

        def data(position: int, array: Any) -> Any:
            return context.make_array(signature.args[position])(context, builder, array).data

        s_ptr = numbers.move(data(0, s_arr), s_off)
        d_ptr = numbers.move(data(2, d_arr), d_off)
        x_ptr = numbers.move(data(5, x_arr), x_off)
        d_at, x_at = data(8, da_arr), data(9, xa_arr)
        cells = [(row, col) for row in range(rows) for col in range(cols)]
        sums = {cell: cgutils.alloca_once(builder, numbers.vector) for cell in cells}
        targets = {
            (row, col): numbers.move(s_ptr, numbers.integer((row * cols + col) * numbers.lanes))
            for row, col in cells
        }
        for cell in cells:
            builder.store(numbers.load(targets[cell]), sums[cell])

        def add_products(d_line: Any, x_line: Any) -> None:
            x_vectors = [
                numbers.load(numbers.move(x_line, builder.mul(ldx, numbers.integer(col))))
                for col in range(cols)
            ]
            for row in range(rows):
                one = numbers.load(numbers.move(d_line, builder.mul(ldd, numbers.integer(row))))
                for col in range(cols):
                    slot = sums[row, col]
                    total = builder.call(fma, [one, x_vectors[col], builder.load(slot)])
                    builder.store(total, slot)

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
        for cell in cells:
            numbers.store(builder.load(sums[cell]), targets[cell])
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
        t_arr, t_off, s_arr, s_off = args
        numbers = numbers_of(builder, signature.args[0])
        target, source = (
            context.make_array(signature.args[position])(context, builder, array).data
            for position, array in ((0, t_arr), (2, s_arr))
        )
        place = numbers.move(target, t_off)
        total = numbers.total(numbers.load(numbers.move(source, s_off)))
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
