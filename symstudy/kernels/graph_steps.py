"""The operations of a network of images, each compiled by itself.

A pass calls them by pointers. Compiled into it they would be optimised again in every kernel that
holds them, which takes a minute more.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symstudy.kernels import jit
from symstudy.kernels.convolution import (
    Chunk,
    TapLists,
    Window,
    convolve,
    convolve_down,
    pack_down,
    pack_up,
    sum_of,
    weights_gradient,
)
from symstudy.kernels.following_backward import unfollow
from symstudy.kernels.following_forward import follow
from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled
from symstudy.kernels.layer_graph import (
    ABOVE,
    ADDED,
    BELOW,
    BIASES,
    CHANNELS,
    CHANNELS_ABOVE,
    COLUMNS,
    COLUMNS_ABOVE,
    DOWN_ABOVE,
    DOWN_BELOW,
    IS_MAXIMUM,
    NO_GRADIENT,
    PAD,
    ROWS,
    ROWS_ABOVE,
    SENDS_BELOW,
    SIZE,
    STRIDE,
    WEIGHTS,
    Cut,
    samples_of,
)
from symstudy.kernels.losses import count_hits, load_targets, loss_and_delta
from symstudy.kernels.network import Network, Scratch, backward, forward
from symstudy.kernels.pooling import (
    mean_of_images,
    mean_of_images_down,
    pool_maximum,
    pool_maximum_down,
    pool_mean,
    pool_mean_down,
)
from symstudy.kernels.tiles import matmul, padded, transpose
from symstudy.kernels.vectors import copy, fill


@compiled
def window_of(op: Integers) -> Window:
    """Return how an operation sees its images."""
    return Window(
        op[SIZE],
        op[STRIDE],
        op[PAD],
        op[ROWS],
        op[COLUMNS],
        op[ROWS_ABOVE],
        op[COLUMNS_ABOVE],
    )


@compiled
def chunk_below(op: Integers, column: Index, chunk: Index, cut: Cut) -> Chunk:
    """Return where a chunk of what an operation reads lies, or its gradient, by the column."""
    plane = (op[ROWS] * op[COLUMNS] + 1) * cut.width
    start = op[column] * cut.chunks * cut.width + chunk * op[CHANNELS] * plane
    return Chunk(start, op[CHANNELS], plane, cut.width)


@compiled
def chunk_above(op: Integers, column: Index, chunk: Index, cut: Cut) -> Chunk:
    """Return where a chunk of what an operation makes lies, or its gradient, by the column."""
    plane = (op[ROWS_ABOVE] * op[COLUMNS_ABOVE] + 1) * cut.width
    start = op[column] * cut.chunks * cut.width + chunk * op[CHANNELS_ABOVE] * plane
    return Chunk(start, op[CHANNELS_ABOVE], plane, cut.width)


def load_images(
    op: Integers, x: Floats, rows: Integers, act: Floats, inputs: Floats, cut: Cut
) -> None:
    """Gather the samples `rows` of `x[n, d]` for the first operation, samples innermost.

    The padding of a chunk gets its first sample again, which is finite where that is.
    """
    pixels = op[ROWS] * op[COLUMNS]
    wide = padded(x.shape[1], x.itemsize)
    for chunk in range(cut.chunks):
        images = chunk_below(op, BELOW, chunk, cut)
        samples = samples_of(cut, chunk)
        for b in range(cut.width):
            row = rows[chunk * cut.share + (b if b < samples else 0)]
            copy(inputs[b * wide : b * wide + x.shape[1]], x[row])
        # What a transposition writes beyond a channel is overwritten by the next.
        for channel in range(images.channels):
            target = act[images.start + channel * images.plane :]
            transpose(inputs, channel * pixels, wide, target, cut.width, cut.width, pixels)


def convolution_forward(
    op: Integers, theta: Floats, act: Floats, packed: Floats, lists: TapLists, cut: Cut
) -> None:
    """Compute the result of a convolution."""
    window = window_of(op)
    channels, taps = op[CHANNELS_ABOVE], op[SIZE] * op[SIZE]
    pack_up(theta, op[WEIGHTS], channels, op[CHANNELS], taps, packed)
    acc = np.int64(1) if op[BIASES] >= 0 else np.int64(0)
    for chunk in range(cut.chunks):
        above = chunk_above(op, ABOVE, chunk, cut)
        if op[BIASES] >= 0:
            for channel in range(channels):
                at = above.start + channel * above.plane
                fill(act[at : at + above.plane], theta[op[BIASES] + channel])
        convolve(window, act, above, packed, act, chunk_below(op, BELOW, chunk, cut), lists, acc)


def convolution_backward(
    op: Integers,
    theta: Floats,
    gradient: Floats,
    act: Floats,
    down: Floats,
    packed: Floats,
    sums: Floats,
    lists: TapLists,
    cut: Cut,
) -> None:
    """Compute the gradient by a convolution's images, from that by its result; add its weights'."""
    window = window_of(op)
    first = np.int64(0)
    above = chunk_above(op, DOWN_ABOVE, first, cut)
    below = chunk_below(op, BELOW, first, cut)
    step_above, step_below = above.channels * above.plane, below.channels * below.plane
    if op[BIASES] >= 0:
        for channel in range(above.channels):
            total = 0.0
            for chunk in range(cut.chunks):
                at = above.start + chunk * step_above + channel * above.plane
                total += float(sum_of(down[at : at + above.plane - cut.width]))
            gradient[op[BIASES] + channel] += gradient.dtype.type(total)
    weights_gradient(
        window,
        gradient,
        op[WEIGHTS],
        down,
        above,
        step_above,
        act,
        below,
        step_below,
        cut.chunks,
        sums,
        lists,
    )
    if op[SENDS_BELOW] == NO_GRADIENT:
        return
    pack_down(theta, op[WEIGHTS], above.channels, below.channels, op[SIZE] * op[SIZE], packed)
    acc = np.int64(1) if op[SENDS_BELOW] == ADDED else np.int64(0)
    for chunk in range(cut.chunks):
        target = chunk_below(op, DOWN_BELOW, chunk, cut)
        source = chunk_above(op, DOWN_ABOVE, chunk, cut)
        convolve_down(window, down, target, packed, down, source, lists, acc)


def pooling_forward(op: Integers, act: Floats, cut: Cut) -> None:
    """Compute the result of a pooling."""
    window = window_of(op)
    for chunk in range(cut.chunks):
        above, below = chunk_above(op, ABOVE, chunk, cut), chunk_below(op, BELOW, chunk, cut)
        if op[IS_MAXIMUM] != 0:
            pool_maximum(window, act, above, act, below)
        else:
            pool_mean(window, act, above, act, below)


def pooling_backward(op: Integers, act: Floats, down: Floats, cut: Cut) -> None:
    """Compute the gradient by what a pooling reads, from that by its result."""
    window = window_of(op)
    for chunk in range(cut.chunks if op[SENDS_BELOW] != NO_GRADIENT else 0):
        above = chunk_above(op, DOWN_ABOVE, chunk, cut)
        below = chunk_below(op, DOWN_BELOW, chunk, cut)
        if op[SENDS_BELOW] != ADDED:
            size = below.channels * below.plane
            fill(down[below.start : below.start + size], down.dtype.type(0.0))
        if op[IS_MAXIMUM] != 0:
            images = chunk_below(op, BELOW, chunk, cut).start
            maxima = chunk_above(op, ABOVE, chunk, cut).start
            pool_maximum_down(window, down, below, down, above, act, images, maxima)
        else:
            pool_mean_down(window, down, below, down, above)


@compiled
def head_backward(
    head: Network,
    theta: Floats,
    gradient: Floats,
    samples: Index,
    memory: Scratch,
    width: Index,
) -> None:
    """Fill `memory.delta_below` with the gradient of the means over pixels; add the readout's."""
    zero = np.int64(0)
    one = np.int64(1)
    channels, outputs, weights = head.sizes[0], head.sizes[1], head.weights[0]
    wide = padded(channels, theta.itemsize)
    transpose(memory.hidden, zero, width, memory.rows_in, wide, channels, samples)
    backward(head, theta, gradient, one, samples, memory, width)
    below, delta = memory.delta_below, memory.delta
    matmul(
        below,
        zero,
        width,
        theta,
        weights,
        one,
        channels,
        delta,
        zero,
        width,
        channels,
        width,
        outputs,
        zero,
    )


def read_out(
    head: Network,
    theta: Floats,
    gradient: Floats,
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    places: Integers,
    op: Integers,
    act: Floats,
    down: Floats,
    memory: Scratch,
    cut: Cut,
    found: Floats,
) -> None:
    """Add to `found` the losses and the hits of all chunks; send their gradients to the images.

    Args:
        head: The dense layers and the loss.
        theta: Parameters of the lane.
        gradient: Theirs, to which the head's is added; where it is empty, hits are counted.
        y: Targets `[n, outputs]`.
        rows: Which samples.
        kind: Label noise of this step, see `symstudy.kernels.losses.load_targets`.
        sigma: See there.
        noise: See there.
        places: Position in the batch of the first sample, and samples of the batch.
        op: The operation that makes what is read out.
        act: Activations.
        down: Gradients.
        memory: Scratch of the head.
        cut: The chunks.
        found: Loss and hits, float64.
    """
    width, pixels = cut.width, op[ROWS_ABOVE] * op[COLUMNS_ABOVE]
    for chunk in range(cut.chunks):
        first = chunk * cut.share
        own = rows[first : first + samples_of(cut, chunk)]
        mean_of_images(memory.hidden, act, chunk_above(op, ABOVE, chunk, cut), pixels)
        forward(head, theta, theta.dtype.type(0.0), memory, width)
        out = memory.hidden[memory.starts[1] : memory.starts[1] + head.sizes[1] * width]
        if gradient.size == 0:
            found[1] += count_hits(y, own, out, width)
        load_targets(y, own, kind, sigma, noise, places[0] + first, memory, width)
        found[0] += loss_and_delta(head, out, own.size, places[1], memory, width)
        if gradient.size > 0:
            head_backward(head, theta, gradient, own.size, memory, width)
            images = chunk_above(op, DOWN_ABOVE, chunk, cut)
            mean_of_images_down(down, images, memory.delta_below, pixels)


class GraphSteps(NamedTuple):
    """Pointers to the operations, in one precision; each is called as the function of its name."""

    load_images: Any
    convolution_forward: Any
    convolution_backward: Any
    follow: Any
    unfollow: Any
    pooling_forward: Any
    pooling_backward: Any
    read_out: Any


@functools.cache
def compile_graph_steps(kind: str) -> GraphSteps:
    """Return the operations in the precision `kind`, compiled if they are not yet."""
    types = jit.numba_types()
    real, integer = getattr(types, kind), types.int64
    vector, matrix = types.Array(real, 1, "C"), types.Array(real, 2, "C")
    integers, rows = types.Array(integer, 1, "C"), types.Array(types.int32, 1, "C")
    cut = types.NamedUniTuple(integer, 4, Cut)
    lists = types.NamedUniTuple(integers, 5, TapLists)
    head = types.NamedTuple([*[integers] * 4, integer, types.float64, types.float64], Network)
    memory = types.NamedTuple([*[vector] * 9, integers], Scratch)
    found = types.Array(types.float64, 1, "C")
    following = [*[vector] * 2, integer, *[vector] * 5, cut]
    arguments: dict[Callable[..., None], list[Any]] = {
        load_images: [integers, matrix, rows, vector, vector, cut],
        convolution_forward: [integers, *[vector] * 3, lists, cut],
        convolution_backward: [integers, *[vector] * 6, lists, cut],
        follow: [integers, types.float64, *following],
        unfollow: [integers, *[vector] * 2, integer, *[vector] * 6, cut],
        pooling_forward: [integers, vector, cut],
        pooling_backward: [integers, vector, vector, cut],
        read_out: [
            head,
            vector,
            vector,
            matrix,
            rows,
            integer,
            real,
            matrix,
            integers,
            integers,
            vector,
            vector,
            memory,
            cut,
            found,
        ],
    }
    return GraphSteps(*(jit.compile_to_pointer(step, each) for step, each in arguments.items()))
