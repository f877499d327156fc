"""Convolutions of one lane, forward and backward, on activations with the samples innermost.

A batch is cut into chunks of at most two cache lines of samples. A buffer of activations holds, for
each chunk, `[channel, pixel, sample]`, and beside the pixels of a channel one more that nothing
reads: images have a power of two of pixels, and channels a power of two apart would share the same
few places of the first cache.

Weights lie in the lane's parameters as torch has them, `[out, in, row, column]`, and are packed
anew for each pass, which takes as long as a few samples.
"""

from typing import NamedTuple

from symstudy.kernels.convolution_tiles import (
    INNER,
    OUTER,
    add_total,
    gather,
    outer_full,
    outer_one,
    outer_tall,
    outer_wide,
    rows_of_group,
)
from symstudy.kernels.jit import (
    Floats,
    Index,
    Integers,
    Real,
    compiled,
    compiled_inline,
    compiled_sum,
)
from symstudy.kernels.vector_instructions import VECTOR_BYTES
from symstudy.kernels.vectors import fill

LEAST_ROW_BLOCK = 24
"""Pixels of a block of the weights' gradient: the channels of a tile then stay in the first cache
while all taps use them."""


class Window(NamedTuple):
    """How a convolution, or a pooling, sees the images below it.

    Attributes:
        size: Rows and columns of the kernel.
        stride: Pixels from one place to the next.
        pad: Pixels of zeros around the images below.
        rows: Rows of the images below.
        columns: Columns of the images below.
        rows_above: Rows of the result.
        columns_above: Columns of the result.
    """

    size: int
    stride: int
    pad: int
    rows: int
    columns: int
    rows_above: int
    columns_above: int


class Chunk(NamedTuple):
    """Where a chunk's images lie in a flat array of activations.

    Attributes:
        start: Place of the first number.
        channels: Channels.
        plane: Numbers from one channel to the next.
        samples: Samples of a pixel, with padding.
    """

    start: int
    channels: int
    plane: int
    samples: int


class TapLists(NamedTuple):
    """Lists that the tiles read, used again for every convolution.

    Attributes:
        weight: Place of the weights of each entry.
        pixel: Place of the pixel of each entry.
        above: For each tap, the places of the pixels of the result, row by row.
        below: For each tap, the places of the pixels that they see.
        start: For each tap, where each row's pixels start; `taps x (rows + 1)`.
    """

    weight: Integers
    pixel: Integers
    above: Integers
    below: Integers
    start: Integers


@compiled
def pack_up(
    theta: Floats, at: Index, out: Index, below: Index, taps: Index, packed: Floats
) -> None:
    """Pack the weights `[out, below, tap]` from `at` on, for the way up: rows are out channels."""
    group = 0
    while group < out:
        rows = rows_of_group(out - group)
        base = group * taps * below
        for row in range(rows):
            for k in range(below):
                line = at + ((group + row) * below + k) * taps
                for tap in range(taps):
                    packed[base + (tap * below + k) * rows + row] = theta[line + tap]
        group += rows


@compiled
def pack_down(
    theta: Floats, at: Index, out: Index, below: Index, taps: Index, packed: Floats
) -> None:
    """Pack the weights `[out, below, tap]` from `at` on, for the way down: rows are below's."""
    group = 0
    while group < below:
        rows = rows_of_group(below - group)
        base = group * taps * out
        for row in range(rows):
            for k in range(out):
                line = at + (k * below + group + row) * taps
                for tap in range(taps):
                    packed[base + (tap * out + k) * rows + row] = theta[line + tap]
        group += rows


@compiled_inline
def gather_channels(
    target: Floats,
    place: Index,
    above: Chunk,
    packed: Floats,
    source: Floats,
    below: Chunk,
    taps: Index,
    lists: TapLists,
    count: Index,
    acc: Index,
) -> None:
    """Make one pixel of all channels of `above` at `place`, of the `count` entries of `lists`."""
    group = 0
    while group < above.channels:
        rows = rows_of_group(above.channels - group)
        gather(
            rows,
            target,
            place + group * above.plane,
            above.plane,
            packed,
            group * taps * below.channels,
            source,
            below.plane,
            lists.weight,
            lists.pixel,
            count,
            below.channels,
            acc,
            above.samples,
        )
        group += rows


@compiled
def convolve(
    window: Window,
    target: Floats,
    above: Chunk,
    packed: Floats,
    source: Floats,
    below: Chunk,
    lists: TapLists,
    acc: Index,
) -> None:
    """Assign (`acc` 0) or add (`acc` 1) to `above` the convolution of `below`.

    Args:
        window: Kernel, stride, border and images.
        target: Holds the result.
        above: Where it lies.
        packed: Weights of `pack_up`.
        source: Holds the images below.
        below: Where they lie.
        lists: Scratch.
        acc: Whether to add.
    """
    size = window.size
    for r in range(window.rows_above):
        for c in range(window.columns_above):
            count = 0
            for i in range(size):
                row = r * window.stride + i - window.pad
                if row < 0 or row >= window.rows:
                    continue
                for j in range(size):
                    column = c * window.stride + j - window.pad
                    if column < 0 or column >= window.columns:
                        continue
                    lists.weight[count] = (i * size + j) * below.channels
                    pixel = row * window.columns + column
                    lists.pixel[count] = below.start + pixel * below.samples
                    count += 1
            place = above.start + (r * window.columns_above + c) * above.samples
            gather_channels(
                target, place, above, packed, source, below, size * size, lists, count, acc
            )


@compiled
def convolve_down(
    window: Window,
    target: Floats,
    below: Chunk,
    packed: Floats,
    source: Floats,
    above: Chunk,
    lists: TapLists,
    acc: Index,
) -> None:
    """Assign (`acc` 0) or add (`acc` 1) to the gradient of `below` what that of `above` sends down.

    `packed` is of `pack_down`; the rest is as in `convolve`.
    """
    size, stride = window.size, window.stride
    for r in range(window.rows):
        for c in range(window.columns):
            count = 0
            for i in range(size):
                row = r + window.pad - i
                if row < 0 or row % stride != 0 or row // stride >= window.rows_above:
                    continue
                for j in range(size):
                    column = c + window.pad - j
                    if column < 0 or column % stride != 0:
                        continue
                    if column // stride >= window.columns_above:
                        continue
                    lists.weight[count] = (i * size + j) * above.channels
                    pixel = (row // stride) * window.columns_above + column // stride
                    lists.pixel[count] = above.start + pixel * above.samples
                    count += 1
            place = below.start + (r * window.columns + c) * below.samples
            gather_channels(
                target, place, below, packed, source, above, size * size, lists, count, acc
            )


@compiled
def list_pairs(window: Window, samples: Index, lists: TapLists) -> None:
    """Fill the lists of the pixels that meet in each tap of the weights' gradient."""
    size = window.size
    most = window.rows_above * window.columns_above
    for i in range(size):
        for j in range(size):
            tap = i * size + j
            count = tap * most
            for r in range(window.rows_above):
                lists.start[tap * (window.rows_above + 1) + r] = count
                row = r * window.stride + i - window.pad
                if row < 0 or row >= window.rows:
                    continue
                for c in range(window.columns_above):
                    column = c * window.stride + j - window.pad
                    if column < 0 or column >= window.columns:
                        continue
                    lists.above[count] = (r * window.columns_above + c) * samples
                    lists.below[count] = (row * window.columns + column) * samples
                    count += 1
            lists.start[tap * (window.rows_above + 1) + window.rows_above] = count


@compiled
def add_outer(
    rows: Index,
    cols: Index,
    sums: Floats,
    delta: Floats,
    d_start: Index,
    above: Chunk,
    act: Floats,
    x_start: Index,
    below: Chunk,
    window: Window,
    lists: TapLists,
) -> None:
    """Add to `sums`, a tile a tap, the products of some channels of one chunk."""
    lanes = VECTOR_BYTES // sums.itemsize
    taps = window.size * window.size
    block = max(1, LEAST_ROW_BLOCK // window.columns_above)
    r = 0
    while r < window.rows_above:
        stop = min(r + block, window.rows_above)
        for tap in range(taps):
            rows_start = tap * (window.rows_above + 1)
            first, last = lists.start[rows_start + r], lists.start[rows_start + stop]
            at = tap * OUTER * INNER * lanes
            n, d, x = above.samples, above.plane, below.plane
            up, down = lists.above, lists.below
            if rows == OUTER and cols == INNER:
                outer_full(sums, at, delta, d_start, d, act, x_start, x, up, down, first, last, n)
            elif rows == OUTER:
                outer_tall(sums, at, delta, d_start, d, act, x_start, x, up, down, first, last, n)
            elif cols == INNER:
                outer_wide(sums, at, delta, d_start, d, act, x_start, x, up, down, first, last, n)
            else:
                outer_one(sums, at, delta, d_start, d, act, x_start, x, up, down, first, last, n)
        r = stop


@compiled
def weights_gradient(
    window: Window,
    gradient: Floats,
    at: Index,
    delta: Floats,
    above: Chunk,
    step_above: Index,
    act: Floats,
    below: Chunk,
    step_below: Index,
    chunks: Index,
    sums: Floats,
    lists: TapLists,
) -> None:
    """Add the gradient of the weights to `gradient`, from `at` on, in torch's order.

    Args:
        window: Kernel, stride, border and images.
        gradient: Of the lane.
        at: Where the weights `[out, below, tap]` start.
        delta: Holds the gradient of the result.
        above: Where that of the first chunk lies.
        step_above: Numbers from one chunk of it to the next.
        act: Holds the images below.
        below: Where those of the first chunk lie.
        step_below: Numbers from one chunk of them to the next.
        chunks: Chunks of the batch.
        sums: Scratch, a tile for each tap.
        lists: Scratch.
    """
    lanes = VECTOR_BYTES // sums.itemsize
    taps = window.size * window.size
    list_pairs(window, above.samples, lists)
    o = 0
    while o < above.channels:
        rows = OUTER if above.channels - o >= OUTER else 1
        i = 0
        while i < below.channels:
            cols = INNER if below.channels - i >= INNER else 1
            fill(sums[: taps * OUTER * INNER * lanes], sums.dtype.type(0.0))
            for chunk in range(chunks):
                d_start = above.start + chunk * step_above + o * above.plane
                x_start = below.start + chunk * step_below + i * below.plane
                add_outer(
                    rows, cols, sums, delta, d_start, above, act, x_start, below, window, lists
                )
            for row in range(rows):
                for col in range(cols):
                    line = at + ((o + row) * below.channels + i + col) * taps
                    for tap in range(taps):
                        tile = (tap * OUTER * INNER + row * cols + col) * lanes
                        add_total(gradient, line + tap, sums, tile)
            i += cols
        o += rows


@compiled_sum
def sum_of(values: Floats) -> Real:
    """Return the sum of `values`, in their own precision."""
    total = values.dtype.type(0.0)
    for i in range(values.size):
        total += values[i]
    return total
