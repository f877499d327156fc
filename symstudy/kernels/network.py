"""Loss and gradient of one lane of a fully connected network, in the caches of one core.

A lane's batch is worked through in chunks of at most `CHUNK` samples. Activations are stored with
the samples contiguous, each feature's row filling whole cache lines: then the vector dimension of
the forward product and of the product that sends gradients down is the batch, whatever the width.
Only the weights' gradient needs the activations the other way round, and gets a transposed copy.

Numba compiles a kernel once for every literal it is called with; `np.int64(0)` is no literal.

Legend of names: `n_in`, `n_out` a layer's fan-in and fan-out; `bp` the chunk's padded length.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.functions import activate
from symstudy.kernels.jit import (
    LINE_BYTES,
    Floats,
    Index,
    Integers,
    Real,
    compiled,
    compiled_inline,
)
from symstudy.kernels.losses import count_hits, load_targets, loss_and_delta
from symstudy.kernels.tiles import matmul, padded, transpose
from symstudy.kernels.vectors import accumulate, copy, fill, scale_by, total_of

CHUNK = 128
"""Samples worked on at a time; 128 columns of 256 floats fill an eighth of a second-level cache."""


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


@compiled_inline
def dense_pass(
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
        kind: Label noise of this step, see `symstudy.kernels.losses.load_targets`.
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
        start = scratch.starts[last]
        out = scratch.hidden[start : start + network.sizes[last] * bp]
        if gradient.size == 0:
            hits += count_hits(y, chunk, out, bp)
        load_targets(y, chunk, kind, sigma, noise, first, scratch, bp)
        loss += loss_and_delta(network, out, chunk.size, rows.size, scratch, bp)
        if gradient.size > 0:
            acc = np.int64(1) if first > 0 else np.int64(0)
            backward(network, theta, gradient, acc, chunk.size, scratch, bp)
        first += CHUNK
    return loss, hits
