"""Small matrix products at the speed of the processor, for matrices that fit its caches.

A vendor's matrix product pays a microsecond or more a call and reaches its speed at sizes that a
network of 16 neurons never has. Here one register tile of the product (say 6 rows of 4 vectors) is
written as LLVM vector code; `matmul` covers a matrix with such tiles. All operands are flat arrays
with an offset and strides in elements, so that a parameter block inside a lane's flat vector is
used where it lies, transposed or not.

References: Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication" (the
register tile); we need none of its packing, since a lane's matrices stay in the first two caches.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from symstudy.kernels.jit import (
    LINE_BYTES,
    Floats,
    Index,
    compiled_apart,
    compiled_inline,
    has_many_registers,
    stay_apart,
)
from symstudy.kernels.vector_instructions import VECTOR_BYTES, Tile, arguments_of, cgutils


def make_tile(rows: int, vectors: int) -> Callable[..., None]:
    """Return the kernel of one tile of a product, `rows` by `vectors` registers.

    The kernel adds (`acc` not 0) or assigns (`acc` 0) to `C[rows, vectors * lanes]` the product of
    `A[rows, depth]` and `B[depth, vectors * lanes]`. `A` has the element strides `a_row`, `a_col`;
    the rows of `B` and `C` are contiguous and `ldb` and `ldc` apart.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = arguments_of(context, builder, signature, args)
        _, _, ldc, _, _, a_row, a_col, _, _, ldb, depth, acc = args
        numbers, c_ptr, a_ptr, b_ptr = of.numbers, of.moved(0), of.moved(3), of.moved(7)

        tile = Tile(numbers, rows, vectors)
        places = tile.rows_apart(c_ptr, ldc)
        tile.load_or_clear(places, acc)
        with cgutils.for_range(builder, depth) as loop:
            b_vectors = numbers.beside(numbers.move(b_ptr, builder.mul(loop.index, ldb)), vectors)
            a_line = numbers.move(a_ptr, builder.mul(loop.index, a_col))
            for row in range(rows):
                at = builder.mul(a_row, numbers.integer(row))
                factor = numbers.splat(builder.load(numbers.move(a_line, at)))
                tile.add(row, factor, b_vectors)
        tile.store(places)
        return context.get_dummy_value()

    def tile(
        typing: Any,
        c_arr: Any,
        c_off: Any,
        ldc: Any,
        a_arr: Any,
        a_off: Any,
        a_row: Any,
        a_col: Any,
        b_arr: Any,
        b_off: Any,
        ldb: Any,
        depth: Any,
        acc: Any,
    ) -> Any:
        size = types.intp
        a_args = (a_arr, size, size, size)
        return types.void(c_arr, size, size, *a_args, b_arr, size, size, size, size), emit

    return intrinsic(tile)


def make_block_transpose() -> Callable[..., None]:
    """Return the kernel that transposes a square block of one vector's lanes a side.

    The kernel writes the block at `s_off` of `source`, its rows `lds` items apart, to `t_off` of
    `target`, its rows `ldt` apart: halves of ever larger groups of lanes change places.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = arguments_of(context, builder, signature, args)
        _, s_off, lds, _, t_off, ldt = args
        numbers, lanes = of.numbers, of.numbers.lanes
        mask_type = ir.VectorType(ir.IntType(32), lanes)

        def row(position: int, offset: Any, stride: Any, index: int) -> Any:
            steps = builder.mul(stride, numbers.integer(index))
            return numbers.move(of.data(position), offset, steps)

        rows = [numbers.load(row(0, s_off, lds, i)) for i in range(lanes)]
        step = 1
        while step < lanes:
            low = [k if not k & step else lanes + k - step for k in range(lanes)]
            high = [k + step if not k & step else lanes + k for k in range(lanes)]
            for i in range(lanes):
                if not i & step:
                    a, b = rows[i], rows[i | step]
                    rows[i] = builder.shuffle_vector(a, b, ir.Constant(mask_type, low))
                    rows[i | step] = builder.shuffle_vector(a, b, ir.Constant(mask_type, high))
            step *= 2
        for i in range(lanes):
            numbers.store(rows[i], row(3, t_off, ldt, i))
        return context.get_dummy_value()

    def block_transpose(
        typing: Any, source: Any, s_off: Any, lds: Any, target: Any, t_off: Any, ldt: Any
    ) -> Any:
        size = types.intp
        return types.void(source, size, size, target, size, size), emit

    return intrinsic(block_transpose)


block_transpose = make_block_transpose()

# Accumulators of a tile, its row of B and one broadcast must fit the registers: 32 or 16 of them.
WIDE = 4 if has_many_registers() else 2
tile_6w = make_tile(6, WIDE)
tile_2w = make_tile(2, WIDE)
tile_1w = make_tile(1, WIDE)
tile_62 = make_tile(6, 2)
tile_42 = make_tile(4, 2)
tile_12 = make_tile(1, 2)
tile_81 = make_tile(8, 1)
tile_41 = make_tile(4, 1)
tile_11 = make_tile(1, 1)


@compiled_inline
def padded(count: Index, itemsize: Index) -> Index:
    """Return `count` rounded up to whole cache lines of items of `itemsize` bytes."""
    line = LINE_BYTES // itemsize
    return (count + line - 1) // line * line


@compiled_inline
def matmul(
    c: Floats,
    c_off: Index,
    ldc: Index,
    a: Floats,
    a_off: Index,
    a_row: Index,
    a_col: Index,
    b: Floats,
    b_off: Index,
    ldb: Index,
    rows: Index,
    cols: Index,
    depth: Index,
    acc: Index,
) -> None:
    """Add (`acc` 1) or assign (`acc` 0) to C[rows, cols] the product A[rows, depth] B[depth, cols].

    Each operand is a flat array with an offset: C and B have contiguous rows, `ldc` and `ldb` items
    apart; A has the strides `a_row` and `a_col`, so a transposed A costs nothing. `cols` is a whole
    number of cache lines (`padded`); what lies in the padding of B ends in the padding of C.
    """
    lanes = VECTOR_BYTES // c.itemsize
    j = 0
    while j < cols:
        vectors = (cols - j) // lanes
        vectors = WIDE if vectors >= WIDE else (2 if vectors >= 2 else 1)
        b_at = b_off + j
        i = 0
        while i < rows:
            left = rows - i
            c_at = c_off + i * ldc + j
            a_at = a_off + i * a_row
            if vectors == WIDE:
                if left >= 6:
                    tile_6w(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                    i += 6
                elif left >= 2:
                    tile_2w(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                    i += 2
                else:
                    tile_1w(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                    i += 1
            elif vectors == 2:
                if left >= 6:
                    tile_62(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                    i += 6
                elif left >= 4:
                    tile_42(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                    i += 4
                else:
                    tile_12(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                    i += 1
            elif left >= 8:
                tile_81(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                i += 8
            elif left >= 4:
                tile_41(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                i += 4
            else:
                tile_11(c, c_at, ldc, a, a_at, a_row, a_col, b, b_at, ldb, depth, acc)
                i += 1
        j += vectors * lanes


@compiled_apart
def product(
    c: Floats,
    c_off: Index,
    ldc: Index,
    a: Floats,
    a_off: Index,
    a_row: Index,
    a_col: Index,
    b: Floats,
    b_off: Index,
    ldb: Index,
    rows: Index,
    cols: Index,
    depth: Index,
    acc: Index,
) -> None:
    """Do what `matmul` does, for kernels that call it often: it is not compiled into them."""
    stay_apart()
    matmul(c, c_off, ldc, a, a_off, a_row, a_col, b, b_off, ldb, rows, cols, depth, acc)


@compiled_inline
def transpose(
    source: Floats, s_off: Index, lds: Index, target: Floats, ldt: Index, rows: Index, cols: Index
) -> None:
    """Write `source[rows, cols]`, from `s_off` on, to `target[cols, rows]`, in whole blocks.

    `lds` and `ldt` items lie between rows. Both arrays must hold whole vectors beyond `rows` and
    `cols`: what is read there is written beyond the result.
    """
    lanes = VECTOR_BYTES // source.itemsize
    for i in range(0, rows, lanes):
        for j in range(0, cols, lanes):
            block_transpose(source, s_off + i * lds + j, lds, target, j * ldt + i, ldt)
