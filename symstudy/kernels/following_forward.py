"""What follows a convolution, forward: a norm, a sum, an activation.

A channel of a chunk is worked on from one end to the other while it is in the first cache. Sums
over samples leave out the padding of a chunk. `step` is the distance from
one chunk of images to the next, `plane` from one channel to the next, `width` from one pixel to the
next.

References:
    Ioffe and Szegedy 2015, arXiv:1502.03167 (batch norm); Wu and He 2018, arXiv:1803.08494 (group
    norm).
"""

import math

from symstudy.kernels.convolution import sum_of
from symstudy.kernels.functions import LINEAR, RELU, activate
from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled, compiled_sum
from symstudy.kernels.layer_graph import (
    ABOVE,
    BATCH_NORM,
    BELOW,
    BESIDE,
    BIASES,
    CHANNELS,
    CODE,
    COLUMNS,
    GROUP_NORM,
    GROUPS,
    NORM,
    ROWS,
    STATE,
    STATISTIC,
    WEIGHTS,
    Cut,
    samples_of,
)
from symstudy.kernels.vectors import accumulate, copy, fill


@compiled_sum
def squares_about(values: Floats, mean: Real) -> Real:
    """Return the sum of (value - mean)^2, in the precision of the values."""
    total = values.dtype.type(0.0)
    for i in range(values.size):
        total += (values[i] - mean) * (values[i] - mean)
    return total


@compiled
def scale_and_shift(target: Floats, source: Floats, mean: Real, scale: Real, shift: Real) -> None:
    """Assign scale (source - mean) + shift."""
    for i in range(target.size):
        target[i] = (source[i] - mean) * scale + shift


@compiled
def rectify(values: Floats) -> None:
    """Set what is negative to 0; not a number stays so."""
    for i in range(values.size):
        on = values.dtype.type(1.0) if values[i] > 0 else values.dtype.type(0.0)
        values[i] = values[i] * on


@compiled
def batch_statistics(
    act: Floats,
    at: Index,
    step: Index,
    numbers: Index,
    cut: Cut,
    epsilon: Real,
    kept: Floats,
) -> None:
    """Fill `kept` with mean, inverse deviation and variance of a channel over the batch.

    Args:
        act: Activations.
        at: Where the channel of the first chunk starts.
        step: See the module.
        numbers: Of the channel of one chunk.
        cut: The chunks.
        epsilon: Added to the variance.
        kept: Three numbers.
    """
    kind, width = act.dtype.type, cut.width
    many = cut.samples * (numbers // width)
    mean = kind(0.0)
    variance = 0.0
    for is_second in range(2):
        total = 0.0
        for chunk in range(cut.chunks):
            samples = samples_of(cut, chunk)
            first = at + chunk * step
            # A chunk without padding is one piece.
            length = numbers if samples == width else samples
            hop = numbers if samples == width else width
            for start in range(first, first + numbers, hop):
                values = act[start : start + length]
                if is_second == 0:
                    total += float(sum_of(values))
                else:
                    total += float(squares_about(values, mean))
        if is_second == 0:
            mean = kind(total / many)
        else:
            variance = total / many
    kept[0] = mean
    kept[1] = kind(1.0 / math.sqrt(variance + epsilon))
    kept[2] = kind(variance)


@compiled
def group_statistics(
    act: Floats,
    at: Index,
    share: Index,
    pixels: Index,
    epsilon: Real,
    mean: Floats,
    inverse: Floats,
    part: Floats,
) -> None:
    """Fill `mean` and `inverse` with means and inverse deviations of the samples over a group.

    Args:
        act: Activations.
        at: Where the group of one chunk starts.
        share: Channels of the group.
        pixels: Of an image.
        epsilon: Added to the variance.
        mean: Written, a number a sample.
        inverse: Likewise.
        part: Scratch, a number a sample.
    """
    kind, width = act.dtype.type, mean.size
    many = kind(share * pixels)
    fill(mean, kind(0.0))
    fill(inverse, kind(0.0))
    for is_second in range(2):
        for channel in range(share):
            fill(part, kind(0.0))
            for pixel in range(pixels):
                place = at + (channel * (pixels + 1) + pixel) * width
                values = act[place : place + width]
                if is_second == 0:
                    accumulate(part, values)
                else:
                    for b in range(width):
                        part[b] += (values[b] - mean[b]) * (values[b] - mean[b])
            accumulate(mean if is_second == 0 else inverse, part)
        if is_second == 0:
            for b in range(width):
                mean[b] /= many
    for b in range(width):
        inverse[b] = kind(1.0 / math.sqrt(float(inverse[b] / many) + epsilon))


@compiled
def scale_samples(
    target: Floats, source: Floats, mean: Floats, inverse: Floats, gain: Real, bias: Real
) -> None:
    """Assign gain (source - mean) inverse + bias, with a mean and a deviation a sample."""
    width = mean.size
    for at in range(0, target.size, width):
        for b in range(width):
            target[at + b] = (source[at + b] - mean[b]) * (inverse[b] * gain) + bias


def follow(
    op: Integers,
    epsilon: Real,
    theta: Floats,
    state: Floats,
    is_training: Index,
    act: Floats,
    slope: Floats,
    statistic: Floats,
    of_samples: Floats,
    part: Floats,
    cut: Cut,
) -> None:
    """Compute the result of an operation: norm, sum and activation of the images that it reads.

    Args:
        op: Row of the table (`symstudy.kernels.layer_graph`).
        epsilon: Added to a variance.
        theta: Parameters of the lane.
        state: Its running means and variances.
        is_training: 1 where a batch norm takes the means of the batch; 0 for the running ones.
        act: Activations.
        slope: Slopes of activations.
        statistic: What batch norms find.
        of_samples: What group norms find.
        part: Scratch, two numbers a sample.
        cut: The chunks.
    """
    channels, width, norm, code = op[CHANNELS], cut.width, op[NORM], op[CODE]
    pixels = op[ROWS] * op[COLUMNS]
    plane, numbers = (pixels + 1) * width, pixels * width
    step, room = channels * plane, cut.chunks * width
    share = channels // max(op[GROUPS], 1)
    for channel in range(channels if norm == BATCH_NORM else 0):
        kept = statistic[3 * (op[STATISTIC] + channel) : 3 * (op[STATISTIC] + channel) + 3]
        if is_training != 0:
            at = op[BELOW] * room + channel * plane
            batch_statistics(act, at, step, numbers, cut, epsilon, kept)
        else:
            at = op[STATE] + channel
            kept[0] = state[at]
            kept[1] = act.dtype.type(1.0 / math.sqrt(float(state[at + channels]) + epsilon))
    for chunk in range(cut.chunks):
        for channel in range(channels):
            offset = chunk * step + channel * plane
            below, above = op[BELOW] * room + offset, op[ABOVE] * room + offset
            values, result = act[below : below + numbers], act[above : above + numbers]
            if norm == BATCH_NORM:
                found = 3 * (op[STATISTIC] + channel)
                scale = statistic[found + 1] * theta[op[WEIGHTS] + channel]
                shift = theta[op[BIASES] + channel]
                scale_and_shift(result, values, statistic[found], scale, shift)
            elif norm == GROUP_NORM:
                group = op[STATISTIC] * cut.chunks + chunk * op[GROUPS] + channel // share
                found = 2 * width * group
                mean = of_samples[found : found + width]
                inverse = of_samples[found + width : found + 2 * width]
                if channel % share == 0:
                    group_statistics(
                        act, below, share, pixels, epsilon, mean, inverse, part[:width]
                    )
                gain, bias = theta[op[WEIGHTS] + channel], theta[op[BIASES] + channel]
                scale_samples(result, values, mean, inverse, gain, bias)
            else:
                copy(result, values)
            if op[BESIDE] >= 0:
                beside = op[BESIDE] * room + offset
                accumulate(result, act[beside : beside + numbers])
            if code == RELU:
                rectify(result)
            elif code != LINEAR:
                activate(result, slope[above : above + numbers], code, act.dtype.type(0.0))
