"""Targets, losses and their slopes at a network's outputs, whatever the network.

A network says its loss by `loss`, `loss_scale` and `smoothing`; the scratch memory of a thread has
the arrays of `EndScratch`, among others.

Legend of names: `bp` the chunk's padded length.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from symstudy.kernels.codes import CROSS_ENTROPY, SQUARED
from symstudy.kernels.functions import exp
from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled_inline, compiled_sum
from symstudy.kernels.tiles import padded, transpose
from symstudy.kernels.vectors import copy, fill

NO_NOISE, ADDED, FLIPPED = range(3)
"""Codes of the label noise that is drawn anew at each step."""


class EndScratch(NamedTuple):
    """The part of a thread's memory that targets and losses need.

    Attributes:
        rows: Targets of a chunk with the outputs contiguous.
        delta: Targets, then slopes, with the samples contiguous.
        peak: A number a sample.
        total: The same.
    """

    rows: Floats
    delta: Floats
    peak: Floats
    total: Floats


@compiled_inline
def load_targets(
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    first: Index,
    scratch: Any,
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


@compiled_inline
def soft_errors(
    out: Floats, delta: Floats, count: Index, share: Real, scratch: Any, bp: Index
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


@compiled_inline
def smooth(targets: Floats, keep: Real, share: Real) -> None:
    """Replace each of `targets` by keep target + share."""
    for i in range(targets.size):
        targets[i] = keep * targets[i] + share


@compiled_inline
def loss_and_delta(
    network: Any, out: Floats, count: Index, batch: Index, scratch: Any, bp: Index
) -> Real:
    """Return the chunk's share of the mean loss; replace targets in `scratch.delta` by its slope.

    Args:
        network: Says the loss.
        out: Outputs, a row of samples each; the padding of a row is set to 0.
        count: Samples of the chunk.
        batch: Samples of the batch, over which the loss is a mean.
        scratch: Holds the targets.
        bp: Padded length of a row.
    """
    outputs = out.size // bp
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


@compiled_inline
def count_hits(y: Floats, rows: Integers, out: Floats, bp: Index) -> Index:
    """Return how many of the samples `rows` have their largest output where their target has it."""
    outputs = out.size // bp
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
