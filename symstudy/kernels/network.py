"""Loss and gradient of one lane of a fully connected network, in the caches of one core.

A lane's batch is worked through in chunks of at most `CHUNK` samples. Activations are stored with
the samples contiguous, each feature's row filling whole cache lines: then the vector dimension of
the forward product and of the product that sends gradients down is the batch, whatever the width.
Only the weights' gradient needs the activations the other way round, and gets a transposed copy.

Numba compiles a kernel once for every literal it is called with; `np.int64(0)` is no literal.

Legend of names: `n_in`, `n_out` a layer's fan-in and fan-out; `bp` the chunk's padded length.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.codes import CROSS_ENTROPY, SQUARED
from symstudy.kernels.functions import activate, exp
from symstudy.kernels.jit import (
    LINE_BYTES,
    Floats,
    Index,
    Integers,
    Real,
    compiled,
    compiled_inline,
    compiled_sum,
)
from symstudy.kernels.tiles import matmul, padded, transpose

CHUNK = 128
"""Samples worked on at a time; 128 columns of 256 floats fill an eighth of a second-level cache."""

NO_NOISE, ADDED, FLIPPED = range(3)
"""Codes of the label noise that is drawn anew at each step."""


class Network(NamedTuple):
    """A stack of dense layers over one flat vector of parameters.

    Attributes:
        sizes: Fan-in of each layer, then the output size; int64, layers + 1.
        weights: Where each layer's weight `[out, in]` starts in the flat vector; int64.
        biases: Where each layer's bias starts, or -1 for none; int64.
        codes: Activation of each layer (`symstudy.kernels.functions`); int64.
        loss: Code of the loss.
        loss_scale: c of the squared error c * sum_o (f - y)^2 averaged over samples.
        smoothing: Share of a target of cross-entropy that is spread evenly over the outputs.
    """

    sizes: Integers
    weights: Integers
    biases: Integers
    codes: Integers
    loss: int
    loss_scale: float
    smoothing: float = 0.0


class Scratch(NamedTuple):
    """Arrays that one thread needs to work on a lane, used again for every lane and step."""

    hidden: Floats
    slope: Floats
    rows_in: Floats
    rows: Floats
    delta: Floats
    delta_below: Floats
    tile: Floats
    peak: Floats
    total: Floats
    starts: Integers


def make_scratch(network: Network, batch: int, dtype: np.dtype[np.floating]) -> Scratch:
    """Return scratch for batches of up to `batch` samples of `network`.

    Every array that `transpose` reads or writes ends in a block of slack.
    """
    line = LINE_BYTES // dtype.itemsize
    chunk = -(-min(batch, CHUNK) // line) * line
    sizes = [int(size) for size in network.sizes]
    widest = max(sizes)
    wide = -(-widest // line) * line
    starts = np.concatenate([[0], np.cumsum([size * chunk for size in sizes])]).astype(np.int64)

    def zeros(count: int) -> NDArray[np.floating]:
        return np.zeros(count + line * max(chunk, wide), dtype)

    return Scratch(
        hidden=zeros(int(starts[-1])),
        slope=zeros(int(starts[-1])),
        rows_in=zeros(chunk * (-(-sizes[0] // line) * line)),
        rows=zeros(chunk * wide),
        delta=zeros(chunk * widest),
        delta_below=zeros(chunk * widest),
        tile=zeros(widest * wide),
        peak=zeros(chunk),
        total=zeros(chunk),
        starts=starts,
    )


@compiled
def fill(target: Floats, value: Real) -> None:
    """Set every item of `target` to `value`."""
    for i in range(target.size):
        target[i] = value


@compiled
def copy(target: Floats, source: Floats) -> None:
    """Copy `source` over `target`."""
    for i in range(target.size):
        target[i] = source[i]


@compiled
def accumulate(target: Floats, source: Floats) -> None:
    """Add `source` to `target`."""
    for i in range(target.size):
        target[i] += source[i]


@compiled
def scale_by(target: Floats, factors: Floats) -> None:
    """Multiply `target` by `factors`, item by item."""
    for i in range(target.size):
        target[i] *= factors[i]


@compiled_sum
def total_of(values: Floats) -> Real:
    """Return the sum of `values`, in their own precision."""
    total = values.dtype.type(0.0)
    for i in range(values.size):
        total += values[i]
    return total


@compiled
def load_inputs(x: Floats, rows: Integers, scratch: Scratch, bp: Index) -> None:
    """Gather the samples `rows` of `x[n, d]` into the first layer's input, both ways round."""
    width = x.shape[1]
    wide = padded(width, x.itemsize)
    hidden = scratch.hidden
    for b in range(rows.size):
        source = x[rows[b]]
        copy(scratch.rows_in[b * wide : b * wide + width], source)
    transpose(scratch.rows_in, np.int64(0), wide, hidden, bp, rows.size, width)
    for j in range(width):
        fill(hidden[j * bp + rows.size : (j + 1) * bp], x.dtype.type(0.0))


@compiled
def forward(
    network: Network, theta: Floats, coefficient: Real, scratch: Scratch, bp: Index
) -> None:
    """Fill `scratch.hidden` and `scratch.slope` of every layer from the input already there."""
    for layer in range(network.codes.size):
        n_in = network.sizes[layer]
        n_out = network.sizes[layer + 1]
        below = scratch.starts[layer]
        above = scratch.starts[layer + 1]
        z = scratch.hidden[above : above + n_out * bp]
        bias = network.biases[layer]
        if bias >= 0:
            for row in range(n_out):
                fill(z[row * bp : (row + 1) * bp], theta[bias + row])
        one = np.int64(1)
        acc = one if bias >= 0 else np.int64(0)
        at = network.weights[layer]
        hidden = scratch.hidden
        matmul(hidden, above, bp, theta, at, n_in, one, hidden, below, bp, n_out, bp, n_in, acc)
        if network.codes[layer] != 0:
            activate(
                z, scratch.slope[above : above + n_out * bp], network.codes[layer], coefficient
            )


@compiled
def load_targets(
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    first: Index,
    scratch: Scratch,
    bp: Index,
) -> None:
    """Write the targets of the samples `rows`, with the noise of this step, to `scratch.delta`.

    Args:
        y: Targets `[n, outputs]`; a one-hot row for a class.
        rows: Which samples.
        kind: `NO_NOISE`, `ADDED` (sigma times `noise[sample, output]`) or `FLIPPED`: with
            probability sigma, compared with `noise[sample, 0]`, the label moves on by
            `noise[sample, 1]` classes.
        sigma: Standard deviation or flip probability of the lane.
        noise: Draws of this step.
        first: Position in the batch of the chunk's first sample.
        scratch: Its `delta` is written, outputs by samples.
        bp: Padded length of a row of `delta`.
    """
    if kind != NO_NOISE and kind != ADDED and kind != FLIPPED:
        raise ValueError("the kernels must know the label noise's code")
    outputs = y.shape[1]
    wide = padded(outputs, y.itemsize)
    for b in range(rows.size):
        line = scratch.rows[b * wide : b * wide + outputs]
        copy(line, y[rows[b]])
        if kind == ADDED:
            draws = noise[first + b]
            for o in range(line.size):
                line[o] += sigma * draws[o]
        elif kind == FLIPPED and noise[first + b, 0] < sigma:
            shift = int(noise[first + b, 1])
            label = 0
            for o in range(1, outputs):
                if line[o] > line[label]:
                    label = o
            line[label] = 0.0
            line[(label + shift) % outputs] = 1.0
    transpose(scratch.rows, np.int64(0), wide, scratch.delta, bp, rows.size, outputs)


@compiled_sum
def squared_errors(out: Floats, delta: Floats, factor: Real) -> Real:
    """Return sum (out - delta)^2 and replace the targets `delta` by `factor` (out - delta)."""
    total = out.dtype.type(0.0)
    for i in range(out.size):
        error = out[i] - delta[i]
        total += error * error
        delta[i] = factor * error
    return total


@compiled
def soft_errors(
    out: Floats, delta: Floats, count: Index, share: Real, scratch: Scratch, bp: Index
) -> Real:
    """Return the summed cross-entropy; replace the targets by `share` (p - target)."""
    outputs = out.size // bp
    peak = scratch.peak[:bp]
    total = scratch.total[:bp]
    one = out.dtype.type(1.0)
    copy(peak, out[:bp])
    for o in range(1, outputs):
        line = out[o * bp : (o + 1) * bp]
        for b in range(line.size):
            peak[b] = max(peak[b], line[b])
    fill(total, one - one)
    for o in range(outputs):
        line = out[o * bp : (o + 1) * bp]
        for b in range(line.size):
            total[b] += exp(line[b] - peak[b])
    loss = 0.0
    for b in range(count):
        loss += peak[b] + math.log(total[b])
    for b in range(total.size):
        total[b] = one / total[b]
    for o in range(outputs):
        line = out[o * bp : (o + 1) * bp]
        target = delta[o * bp : (o + 1) * bp]
        for b in range(count):
            loss -= target[b] * line[b]
        for b in range(line.size):
            target[b] = share * (exp(line[b] - peak[b]) * total[b] - target[b])
    return loss


@compiled
def smooth(targets: Floats, keep: Real, share: Real) -> None:
    """Replace each of `targets` by keep target + share."""
    for i in range(targets.size):
        targets[i] = keep * targets[i] + share


@compiled
def loss_and_delta(
    network: Network, count: Index, batch: Index, scratch: Scratch, bp: Index
) -> Real:
    """Return the chunk's share of the mean loss; replace targets in `scratch.delta` by its slope.

    Args:
        network: The layers.
        count: Samples of the chunk.
        batch: Samples of the batch, over which the loss is a mean.
        scratch: Holds outputs and targets.
        bp: Padded length of a row.
    """
    outputs = network.sizes[network.codes.size]
    start = scratch.starts[network.codes.size]
    out = scratch.hidden[start : start + outputs * bp]
    delta = scratch.delta[: outputs * bp]
    kind = out.dtype.type
    for o in range(outputs):
        # The padding has an error of exactly zero, whatever the network makes of it.
        fill(delta[o * bp + count : (o + 1) * bp], kind(0.0))
        fill(out[o * bp + count : (o + 1) * bp], kind(0.0))
    if network.loss == SQUARED:
        factor = kind(2.0 * network.loss_scale / batch)
        return squared_errors(out, delta, factor) * network.loss_scale / batch
    if network.loss != CROSS_ENTROPY:
        raise ValueError("the kernels must know the loss's code")
    if network.smoothing > 0.0:
        keep, share = kind(1.0 - network.smoothing), kind(network.smoothing / outputs)
        for o in range(outputs):
            smooth(delta[o * bp : o * bp + count], keep, share)
    loss = soft_errors(out, delta, count, kind(1.0 / batch), scratch, bp) / batch
    for o in range(outputs):
        fill(delta[o * bp + count : (o + 1) * bp], kind(0.0))
    return loss


@compiled
def backward(
    network: Network,
    theta: Floats,
    gradient: Floats,
    acc: Index,
    count: Index,
    scratch: Scratch,
    bp: Index,
) -> None:
    """Add (`acc` 1) or assign (`acc` 0) to `gradient` what `scratch.delta` sends down."""
    zero = np.int64(0)
    one = np.int64(1)
    delta = scratch.delta
    below = scratch.delta_below
    for layer in range(network.codes.size - 1, -1, -1):
        n_in = network.sizes[layer]
        n_out = network.sizes[layer + 1]
        start = scratch.starts[layer]
        at = network.weights[layer]
        wide = padded(n_in, theta.itemsize)
        if layer > 0:
            matmul(below, zero, bp, theta, at, one, n_in, delta, zero, bp, n_in, bp, n_out, zero)
            if network.codes[layer - 1] != 0:
                scale_by(below[: n_in * bp], scratch.slope[start : start + n_in * bp])
            rows = scratch.rows
            transpose(scratch.hidden, start, bp, rows, wide, n_in, count)
        else:
            rows = scratch.rows_in
        # Columns beyond n_in of `rows` may hold garbage; their products are not copied.
        if wide == n_in:
            matmul(
                gradient, at, n_in, delta, zero, bp, one, rows, zero, wide, n_out, wide, count, acc
            )
        else:
            tile = scratch.tile
            matmul(
                tile, zero, wide, delta, zero, bp, one, rows, zero, wide, n_out, wide, count, zero
            )
            for row in range(n_out):
                line = gradient[at + row * n_in : at + (row + 1) * n_in]
                if acc == 1:
                    accumulate(line, tile[row * wide : row * wide + n_in])
                else:
                    copy(line, tile[row * wide : row * wide + n_in])
        bias = network.biases[layer]
        if bias >= 0:
            for row in range(n_out):
                value = total_of(delta[row * bp : (row + 1) * bp])
                gradient[bias + row] = gradient[bias + row] + value if acc == 1 else value
        delta, below = below, delta


@compiled
def count_hits(
    y: Floats, rows: Integers, outputs: Index, start: Index, scratch: Scratch, bp: Index
) -> Index:
    """Return how many of the samples `rows` have their largest output where their target has it."""
    out = scratch.hidden[start : start + outputs * bp]
    hits = 0
    for b in range(rows.size):
        target = y[rows[b]]
        best = 0
        wanted = 0
        for o in range(1, outputs):
            if out[o * bp + b] > out[best * bp + b]:
                best = o
            if target[o] > target[wanted]:
                wanted = o
        hits += best == wanted
    return hits


@compiled_inline
def lane_pass(
    network: Network,
    theta: Floats,
    coefficient: Real,
    x: Floats,
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    gradient: Floats,
    scratch: Scratch,
) -> tuple[Real, Index]:
    """Return the mean loss of the samples `rows`; with it the gradient, or else the hits.

    Args:
        network: The layers.
        theta: The lane's parameters, flat; every array of floats has its type.
        coefficient: a of the polynomial activation.
        x: Inputs `[n, d]`.
        y: Targets `[n, outputs]`.
        rows: Which samples.
        kind: Label noise of this step, see `load_targets`.
        sigma: See `load_targets`.
        noise: See `load_targets`.
        gradient: Assigned the gradient, flat like `theta`; where it is empty, hits are counted.
        scratch: Of `make_scratch` for at least as many samples.
    """
    loss = 0.0
    hits = 0
    last = network.codes.size
    first = np.int64(0)
    while first < rows.size:
        chunk = rows[first : first + CHUNK]
        bp = padded(chunk.size, theta.itemsize)
        load_inputs(x, chunk, scratch, bp)
        forward(network, theta, coefficient, scratch, bp)
        if gradient.size == 0:
            hits += count_hits(y, chunk, network.sizes[last], scratch.starts[last], scratch, bp)
        load_targets(y, chunk, kind, sigma, noise, first, scratch, bp)
        loss += loss_and_delta(network, chunk.size, rows.size, scratch, bp)
        if gradient.size > 0:
            acc = np.int64(1) if first > 0 else np.int64(0)
            backward(network, theta, gradient, acc, chunk.size, scratch, bp)
        first += CHUNK
    return loss, hits
