"""What follows a convolution, backward: an activation, a sum, a norm.

Sums over samples leave out the padding of a chunk; gradients are zero there. How numbers lie is
said in `symstudy.kernels.following_forward`.
"""

from symstudy.kernels.convolution import sum_of
from symstudy.kernels.functions import LINEAR, RELU
from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled, compiled_sum
from symstudy.kernels.layer_graph import (
    ABOVE,
    ADDED,
    BATCH_NORM,
    BELOW,
    BIASES,
    CHANNELS,
    CODE,
    COLUMNS,
    DOWN_ABOVE,
    DOWN_BELOW,
    DOWN_BESIDE,
    GROUP_NORM,
    GROUPS,
    NO_GRADIENT,
    NORM,
    ROWS,
    SENDS_BELOW,
    SENDS_BESIDE,
    STATISTIC,
    WEIGHTS,
    Cut,
    samples_of,
)
from symstudy.kernels.vectors import accumulate, copy, fill, scale_by


@compiled_sum
def product_about(values: Floats, others: Floats, mean: Real) -> Real:
    """Return the sum of other (value - mean), in the precision of the values."""
    total = values.dtype.type(0.0)
    for i in range(values.size):
        total += others[i] * (values[i] - mean)
    return total


@compiled
def rectify_gradient(gradient: Floats, values: Floats) -> None:
    """Set the gradient to 0 where the rectified `values` are."""
    for i in range(values.size):
        gradient[i] = gradient[i] if values[i] > 0 else values.dtype.type(0.0)


@compiled
def send(target: Floats, source: Floats, how: Index) -> None:
    """Add a gradient to another, or assign it, or do nothing (`NO_GRADIENT`)."""
    if how == ADDED:
        accumulate(target, source)
    elif how != NO_GRADIENT:
        copy(target, source)


@compiled
def send_through_norm(
    target: Floats,
    gradient: Floats,
    values: Floats,
    mean: Real,
    scale: Real,
    shift: Real,
    slope: Real,
    how: Index,
) -> None:
    """Assign or add scale gradient - shift - slope (value - mean)."""
    if how == ADDED:
        for i in range(target.size):
            target[i] += scale * gradient[i] - shift - slope * (values[i] - mean)
    else:
        for i in range(target.size):
            target[i] = scale * gradient[i] - shift - slope * (values[i] - mean)


@compiled
def unfollow_batch(
    op: Integers,
    channel: Index,
    theta: Floats,
    gradient: Floats,
    is_training: Index,
    act: Floats,
    down: Floats,
    kept: Floats,
    cut: Cut,
) -> None:
    """Send one channel's gradient down through a batch norm; `kept` is as going forward left it."""
    kind, width = act.dtype.type, cut.width
    pixels = op[ROWS] * op[COLUMNS]
    plane, numbers = (pixels + 1) * width, pixels * width
    step, room = op[CHANNELS] * plane, cut.chunks * width
    mean, inverse = kept[0], float(kept[1])
    total = 0.0
    product = 0.0
    for chunk in range(cut.chunks):
        offset = chunk * step + channel * plane
        below, above = op[BELOW] * room + offset, op[DOWN_ABOVE] * room + offset
        delta = down[above : above + numbers]
        total += float(sum_of(delta))
        product += float(product_about(act[below : below + numbers], delta, mean))
    gradient[op[WEIGHTS] + channel] += kind(product * inverse)
    gradient[op[BIASES] + channel] += kind(total)
    if op[SENDS_BELOW] == NO_GRADIENT:
        return
    scale = theta[op[WEIGHTS] + channel] * kept[1]
    # In evaluation mean and variance are constants.
    share = float(is_training) / (cut.samples * pixels)
    shift = kind(float(scale) * total * share)
    slope = kind(float(scale) * product * inverse * inverse * share)
    for chunk in range(cut.chunks):
        offset = chunk * step + channel * plane
        below, above = op[BELOW] * room + offset, op[DOWN_ABOVE] * room + offset
        sent = op[DOWN_BELOW] * room + offset
        result, delta = down[sent : sent + numbers], down[above : above + numbers]
        values = act[below : below + numbers]
        send_through_norm(result, delta, values, mean, scale, shift, slope, op[SENDS_BELOW])
        samples = samples_of(cut, chunk)
        if samples < width:
            for at in range(0, numbers, width):
                fill(result[at + samples : at + width], kind(0.0))


@compiled
def unfollow_group(
    op: Integers,
    offset: Index,
    group: Index,
    theta: Floats,
    gradient: Floats,
    act: Floats,
    down: Floats,
    mean: Floats,
    inverse: Floats,
    part: Floats,
    room: Index,
) -> None:
    """Send the gradient of one group of a chunk, `offset` behind the first, through a group norm.

    `mean` and `inverse` are as going forward left them, `part` is scratch and `room` the length of
    a number of all samples.
    """
    kind, width = act.dtype.type, mean.size
    pixels = op[ROWS] * op[COLUMNS]
    share = op[CHANNELS] // op[GROUPS]
    total, product = part[:width], part[width : 2 * width]
    fill(part[: 2 * width], kind(0.0))
    for channel in range(share):
        gain_at, bias_at = (
            op[WEIGHTS] + group * share + channel,
            op[BIASES] + group * share + channel,
        )
        gain = theta[gain_at]
        of_gain = 0.0
        of_bias = 0.0
        for pixel in range(pixels):
            at = offset + (channel * (pixels + 1) + pixel) * width
            below, above = op[BELOW] * room + at, op[DOWN_ABOVE] * room + at
            values, delta = act[below : below + width], down[above : above + width]
            whole = kind(0.0)
            scaled = kind(0.0)
            for b in range(width):
                normed = (values[b] - mean[b]) * inverse[b]
                total[b] += gain * delta[b]
                product[b] += gain * delta[b] * normed
                whole += delta[b]
                scaled += delta[b] * normed
            of_bias += float(whole)
            of_gain += float(scaled)
        gradient[gain_at] += kind(of_gain)
        gradient[bias_at] += kind(of_bias)
    if op[SENDS_BELOW] == NO_GRADIENT:
        return
    many = kind(share * pixels)
    for channel in range(share):
        gain = theta[op[WEIGHTS] + group * share + channel]
        for pixel in range(pixels):
            at = offset + (channel * (pixels + 1) + pixel) * width
            below, above = op[BELOW] * room + at, op[DOWN_ABOVE] * room + at
            values, delta = act[below : below + width], down[above : above + width]
            result = down[op[DOWN_BELOW] * room + at : op[DOWN_BELOW] * room + at + width]
            for b in range(width):
                normed = (values[b] - mean[b]) * inverse[b]
                sent = inverse[b] * (gain * delta[b] - (total[b] + normed * product[b]) / many)
                result[b] = result[b] + sent if op[SENDS_BELOW] == ADDED else sent


def unfollow(
    op: Integers,
    theta: Floats,
    gradient: Floats,
    is_training: Index,
    act: Floats,
    slope: Floats,
    down: Floats,
    statistic: Floats,
    of_samples: Floats,
    part: Floats,
    cut: Cut,
) -> None:
    """Compute gradients by what an operation reads, from those by its result; add gains and biases.

    The arguments are those of `symstudy.kernels.following_forward.follow`, with `gradient` of the
    parameters and `down` of images.
    """
    channels, width, norm, code = op[CHANNELS], cut.width, op[NORM], op[CODE]
    pixels = op[ROWS] * op[COLUMNS]
    plane, numbers = (pixels + 1) * width, pixels * width
    step, room = channels * plane, cut.chunks * width
    for channel in range(channels):
        for chunk in range(cut.chunks):
            offset = chunk * step + channel * plane
            above, from_above = op[ABOVE] * room + offset, op[DOWN_ABOVE] * room + offset
            delta = down[from_above : from_above + numbers]
            if code == RELU:
                rectify_gradient(delta, act[above : above + numbers])
            elif code != LINEAR:
                scale_by(delta, slope[above : above + numbers])
            if op[SENDS_BESIDE] != NO_GRADIENT:
                beside = op[DOWN_BESIDE] * room + offset
                send(down[beside : beside + numbers], delta, op[SENDS_BESIDE])
            if norm != BATCH_NORM and norm != GROUP_NORM and op[SENDS_BELOW] != NO_GRADIENT:
                below = op[DOWN_BELOW] * room + offset
                send(down[below : below + numbers], delta, op[SENDS_BELOW])
        if norm == BATCH_NORM:
            kept = statistic[3 * (op[STATISTIC] + channel) : 3 * (op[STATISTIC] + channel) + 3]
            unfollow_batch(op, channel, theta, gradient, is_training, act, down, kept, cut)
    if norm == GROUP_NORM:
        share = channels // op[GROUPS]
        for chunk in range(cut.chunks):
            for group in range(op[GROUPS]):
                offset = chunk * step + group * share * plane
                number = op[STATISTIC] * cut.chunks + chunk * op[GROUPS] + group
                found = 2 * width * number
                mean = of_samples[found : found + width]
                inverse = of_samples[found + width : found + 2 * width]
                unfollow_group(
                    op, offset, group, theta, gradient, act, down, mean, inverse, part, room
                )
