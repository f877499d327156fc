"""Pooling of one lane, forward and backward: means and maxima of windows, and means of images."""

from symstudy.kernels.convolution import Chunk, Window
from symstudy.kernels.jit import Floats, Index, compiled
from symstudy.kernels.vectors import fill


@compiled
def pool_mean(window: Window, target: Floats, above: Chunk, source: Floats, below: Chunk) -> None:
    """Assign the mean of each window; one that reaches over the border is of what is in it."""
    kind = target.dtype.type
    for channel in range(above.channels):
        for r in range(window.rows_above):
            for c in range(window.columns_above):
                pixel = r * window.columns_above + c
                at = above.start + channel * above.plane + pixel * above.samples
                result = target[at : at + above.samples]
                fill(result, kind(0.0))
                count = 0
                for row in range(r * window.stride, r * window.stride + window.size):
                    for column in range(c * window.stride, c * window.stride + window.size):
                        if row >= window.rows or column >= window.columns:
                            continue
                        from_pixel = (row * window.columns + column) * below.samples
                        start = below.start + channel * below.plane + from_pixel
                        for b in range(result.size):
                            result[b] += source[start + b]
                        count += 1
                share = kind(1.0) / kind(count)
                for b in range(result.size):
                    result[b] *= share


@compiled
def pool_mean_down(
    window: Window, target: Floats, below: Chunk, source: Floats, above: Chunk
) -> None:
    """Add to the gradient of the images below what the means send down."""
    kind = target.dtype.type
    for channel in range(above.channels):
        for r in range(window.rows_above):
            for c in range(window.columns_above):
                pixel = r * window.columns_above + c
                at = above.start + channel * above.plane + pixel * above.samples
                high = min((r * window.stride + window.size), window.rows)
                wide = min((c * window.stride + window.size), window.columns)
                count = (high - r * window.stride) * (wide - c * window.stride)
                share = kind(1.0) / kind(count)
                for row in range(r * window.stride, high):
                    for column in range(c * window.stride, wide):
                        to_pixel = (row * window.columns + column) * below.samples
                        start = below.start + channel * below.plane + to_pixel
                        for b in range(above.samples):
                            target[start + b] += share * source[at + b]


@compiled
def pool_maximum(
    window: Window, target: Floats, above: Chunk, source: Floats, below: Chunk
) -> None:
    """Assign the maximum of each window; the border counts as less than everything."""
    for channel in range(above.channels):
        for r in range(window.rows_above):
            for c in range(window.columns_above):
                pixel = r * window.columns_above + c
                at = above.start + channel * above.plane + pixel * above.samples
                result = target[at : at + above.samples]
                is_first = True
                top, left = r * window.stride - window.pad, c * window.stride - window.pad
                for row in range(max(top, 0), min(top + window.size, window.rows)):
                    for column in range(max(left, 0), min(left + window.size, window.columns)):
                        from_pixel = (row * window.columns + column) * below.samples
                        start = below.start + channel * below.plane + from_pixel
                        for b in range(result.size):
                            value = source[start + b]
                            # What is not a number stays.
                            is_more = is_first or value > result[b] or value != value  # noqa: PLR0124
                            result[b] = value if is_more else result[b]
                        is_first = False


@compiled
def pool_maximum_down(
    window: Window,
    target: Floats,
    below: Chunk,
    source: Floats,
    above: Chunk,
    act: Floats,
    act_below: Index,
    act_above: Index,
) -> None:
    """Add to the gradient of the images below what the maxima send down, each to its first place.

    Args:
        window: Kernel, stride, border and images.
        target: Holds the gradient of the images below.
        below: Where it lies.
        source: Holds the gradient of the maxima.
        above: Where it lies.
        act: Holds the images below and the maxima.
        act_below: Where the images below start in it.
        act_above: Where the maxima start in it.
    """
    kind = target.dtype.type
    for channel in range(above.channels):
        for r in range(window.rows_above):
            for c in range(window.columns_above):
                pixel = channel * above.plane + (r * window.columns_above + c) * above.samples
                top, left = r * window.stride - window.pad, c * window.stride - window.pad
                for b in range(above.samples):
                    largest = act[act_above + pixel + b]
                    left_over = source[above.start + pixel + b]
                    for row in range(max(top, 0), min(top + window.size, window.rows)):
                        for column in range(max(left, 0), min(left + window.size, window.columns)):
                            place = (row * window.columns + column) * below.samples + b
                            place += channel * below.plane
                            if act[act_below + place] == largest:
                                target[below.start + place] += left_over
                                left_over = kind(0.0)


@compiled
def mean_of_images(target: Floats, source: Floats, below: Chunk, pixels: Index) -> None:
    """Assign to `target[channel, sample]` the mean of each channel over its pixels."""
    kind = target.dtype.type
    share = kind(1.0) / kind(pixels)
    for channel in range(below.channels):
        result = target[channel * below.samples : (channel + 1) * below.samples]
        fill(result, kind(0.0))
        for pixel in range(pixels):
            start = below.start + channel * below.plane + pixel * below.samples
            for b in range(result.size):
                result[b] += source[start + b]
        for b in range(result.size):
            result[b] *= share


@compiled
def mean_of_images_down(target: Floats, below: Chunk, source: Floats, pixels: Index) -> None:
    """Assign to the gradient of the images what their means send down."""
    kind = target.dtype.type
    share = kind(1.0) / kind(pixels)
    for channel in range(below.channels):
        for pixel in range(pixels):
            start = below.start + channel * below.plane + pixel * below.samples
            for b in range(below.samples):
                target[start + b] = share * source[channel * below.samples + b]
