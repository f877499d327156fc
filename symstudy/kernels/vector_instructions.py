"""Instructions on vectors, for kernels that are written as LLVM's code: the register tiles.

What Numba compiles of Python would load and store the sums of a tile at each step; these kernels
keep them in registers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils

from symstudy.kernels.jit import vector_bytes

__all__ = ["VECTOR_BYTES", "Arguments", "Cell", "Numbers", "Tile", "arguments_of", "cgutils"]

VECTOR_BYTES = vector_bytes()
cgutils: Any = untyped_cgutils
Cell = tuple[int, int]
"""Row and column of a tile."""


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

    def beside(self, pointer: Any, count: int) -> list[Any]:
        """Return `count` vectors that lie side by side from `pointer` on."""
        places = [self.integer(place * self.lanes) for place in range(count)]
        return [self.load(self.move(pointer, place)) for place in places]

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


def numbers_of(builder: Any, array_type: Any, parts: int = 1) -> Numbers:
    """Return the types of LLVM for the items of an array; `parts` 2 for half vectors."""
    single = array_type.dtype == types.float32
    item = 4 if single else 8
    lanes = VECTOR_BYTES // item // parts
    scalar = ir.FloatType() if single else ir.DoubleType()
    return Numbers(builder, item, lanes, ir.VectorType(scalar, lanes))


class Arguments(NamedTuple):
    """Arguments of a kernel while its instructions are written.

    Attributes:
        context: Numba's, which knows how arrays lie.
        numbers: Types of the arrays' items.
        types: Types of the arguments.
        values: Their values.
    """

    context: Any
    numbers: Numbers
    types: Any
    values: Any

    def data(self, position: int) -> Any:
        """Return the pointer to the items of an argument that is an array."""
        builder, array = self.numbers.builder, self.values[position]
        return self.context.make_array(self.types[position])(self.context, builder, array).data

    def moved(self, position: int) -> Any:
        """Return the pointer to the items of an array, moved on by the argument after it."""
        return self.numbers.move(self.data(position), self.values[position + 1])


def arguments_of(
    context: Any, builder: Any, signature: Any, values: Any, parts: int = 1
) -> Arguments:
    """Return the arguments of a kernel whose first one is an array of floats.

    Args:
        context: Numba's, of the kernel.
        builder: Where instructions are written.
        signature: Types of the arguments.
        values: The arguments.
        parts: 1 for whole vectors, 2 for half ones.
    """
    numbers = numbers_of(builder, signature.args[0], parts)
    return Arguments(context, numbers, signature.args, values)


class Tile:
    """The vectors of sums that a kernel keeps in registers.

    Attributes:
        numbers: Types of their items.
        slots: Where each is kept, by row and column.
    """

    def __init__(self, numbers: Numbers, rows: int, cols: int) -> None:
        """Reserve `rows` by `cols` vectors."""
        self.numbers = numbers
        # Stack slots become registers when LLVM promotes them; that spares us the phi nodes.
        self.slots = {
            (row, col): cgutils.alloca_once(numbers.builder, numbers.vector)
            for row in range(rows)
            for col in range(cols)
        }

    def places(self, pointer: Callable[[int, int], Any]) -> dict[Cell, Any]:
        """Return where each vector lies in memory, as `pointer` says by row and column."""
        return {cell: pointer(*cell) for cell in self.slots}

    def rows_apart(self, pointer: Any, stride: Any) -> dict[Cell, Any]:
        """Return where each vector lies: columns side by side, rows `stride` items apart."""
        numbers = self.numbers

        def place(row: int, col: int) -> Any:
            line = numbers.builder.mul(stride, numbers.integer(row))
            return numbers.move(pointer, line, numbers.integer(col * numbers.lanes))

        return self.places(place)

    def load(self, places: Mapping[Cell, Any]) -> None:
        """Begin with what lies in memory."""
        for cell, slot in self.slots.items():
            self.numbers.builder.store(self.numbers.load(places[cell]), slot)

    def clear(self) -> None:
        """Begin with zeros."""
        for slot in self.slots.values():
            self.numbers.builder.store(self.numbers.zero(), slot)

    def load_or_clear(self, places: Mapping[Cell, Any], adds: Any) -> None:
        """Begin with what lies in memory where `adds`, an integer, is not 0; else with zeros."""
        builder = self.numbers.builder
        is_set = builder.icmp_signed("!=", adds, self.numbers.integer(0))
        with builder.if_else(is_set) as (added, assigned):
            with added:
                self.load(places)
            with assigned:
                self.clear()

    def add(self, row: int, factor: Any, vectors: Sequence[Any]) -> None:
        """Add the products of a vector with those of all columns to a row."""
        builder = self.numbers.builder
        for col, vector in enumerate(vectors):
            slot = self.slots[row, col]
            terms = [factor, vector, builder.load(slot)]
            builder.store(builder.call(self.numbers.fused(), terms), slot)

    def sums(self) -> Iterator[tuple[Cell, Any]]:
        """Yield each vector of sums, with its row and column."""
        for cell, slot in self.slots.items():
            yield cell, self.numbers.builder.load(slot)

    def store(self, places: Mapping[Cell, Any]) -> None:
        """Write all to memory."""
        for cell, value in self.sums():
            self.numbers.store(value, places[cell])
