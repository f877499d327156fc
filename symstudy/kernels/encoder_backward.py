"""Backward pass of one lane of a transformer encoder; names as in `symstudy.kernels.encoder`."""

import numpy as np

from symstudy.kernels.attention import HeadSizes, attend_back
from symstudy.kernels.encoder import (
    DELTA,
    INNER,
    KEY_SLOPE,
    KEYS,
    LAST,
    MIDDLE,
    MIDDLE_SPREAD,
    NEURONS,
    PAIR_SLOPE,
    PAIRS,
    PEAK,
    POOLED,
    QUERY,
    QUERY_SLOPE,
    READ,
    ROWS,
    SEEN,
    SLOPE,
    SPREAD,
    STREAM,
    STREAM_SLOPE,
    TILE,
    TOTAL,
    Encoder,
    EncoderScratch,
    blocks_of,
    sizes_of,
)
from symstudy.kernels.encoder_forward import head_sizes
from symstudy.kernels.jit import Floats, Index, Integers, compiled_apart, stay_apart
from symstudy.kernels.tiles import padded, product, transpose
from symstudy.kernels.vectors import accumulate, copy, fill, scale_by, total_of

__all__ = ["decode"]


@compiled_apart
def weight_gradient(
    gradient: Floats,
    at: Index,
    memory: Floats,
    delta: Index,
    ldd: Index,
    rooms: Integers,
    first: Index,
    n_out: Index,
    n_in: Index,
    depth: Index,
    acc: Index,
) -> None:
    """Assign (`acc` 0) or add (`acc` 1) the gradient of a weight `[n_out, n_in]`.

    Args:
        gradient: Written from `at` on.
        at: See `gradient`.
        memory: Holds the rest; what the layer saw, with its features contiguous, in `ROWS`. Its
            columns beyond `n_in` may hold garbage; their products are not copied.
        delta: Where the slopes of the layer's results begin.
        ldd: Items between their rows.
        rooms: Of the scratch.
        first: Item of `ROWS` to begin with.
        n_out: Rows of the weight.
        n_in: Columns of the weight.
        depth: Tokens of all samples.
        acc: See above.
    """
    stay_apart()
    zero, one = np.int64(0), np.int64(1)
    wide = padded(n_in, gradient.itemsize)
    rows, tile = rooms[ROWS] + first, rooms[TILE]
    if wide == n_in:
        product(
            gradient, at, n_in, memory, delta, ldd, one, memory, rows, wide, n_out, wide, depth, acc
        )
        return
    product(
        memory, tile, wide, memory, delta, ldd, one, memory, rows, wide, n_out, wide, depth, zero
    )
    for row in range(n_out):
        line = gradient[at + row * n_in : at + (row + 1) * n_in]
        found = memory[tile + row * wide : tile + row * wide + n_in]
        if acc == 1:
            accumulate(line, found)
        else:
            copy(line, found)


@compiled_apart
def bias_gradient(
    gradient: Floats, at: Index, memory: Floats, delta: Index, ldd: Index, n_out: Index, acc: Index
) -> None:
    """Assign or add the gradient of a bias, if there is one (`at` not -1)."""
    stay_apart()
    if at < 0:
        return
    for row in range(n_out):
        value = total_of(memory[delta + row * ldd : delta + (row + 1) * ldd])
        gradient[at + row] = gradient[at + row] + value if acc == 1 else value


@compiled_apart
def normalise_back(
    memory: Floats,
    slope: Index,
    at: Index,
    spread: Index,
    width: Index,
    columns: Index,
    mean: Floats,
    product: Floats,
) -> None:
    """Replace slopes of normalised columns by those of the columns themselves.

    The slope g of x' = (x - mean x) / s becomes (g - mean g - x' mean(g x')) / s.

    Args:
        memory: Holds all that follows.
        slope: Where the slopes `[width, columns]` begin, which are replaced.
        at: Where the normalised columns begin.
        spread: Where 1 / s begins.
        width: Numbers of a column.
        columns: Columns.
        mean: Room for a number a column.
        product: The same.
    """
    stay_apart()
    kind = memory.dtype.type
    share = kind(1.0) / kind(width)
    deviation = memory[spread : spread + columns]
    mean, product = mean[:columns], product[:columns]
    fill(mean, kind(0.0))
    fill(product, kind(0.0))
    for d in range(width):
        line = memory[slope + d * columns : slope + (d + 1) * columns]
        seen = memory[at + d * columns : at + (d + 1) * columns]
        for i in range(columns):
            mean[i] += line[i]
            product[i] += line[i] * seen[i]
    for i in range(columns):
        mean[i] *= share
        product[i] *= share
    for d in range(width):
        line = memory[slope + d * columns : slope + (d + 1) * columns]
        seen = memory[at + d * columns : at + (d + 1) * columns]
        for i in range(columns):
            line[i] = deviation[i] * (line[i] - mean[i] - seen[i] * product[i])


@compiled_apart
def add_last(
    memory: Floats, to: Index, columns: Index, at: Index, line: Index, bp: Index, width: Index
) -> None:
    """Add one token a sample, from `at` on, to the last token of what begins at `to`."""
    stay_apart()
    for d in range(width):
        first = to + (d + 1) * columns - bp
        accumulate(memory[first : first + bp], memory[at + d * line : at + d * line + bp])


@compiled_apart
def mlp_back(
    encoder: Encoder,
    theta: Floats,
    layer: Index,
    scratch: EncoderScratch,
    columns: Index,
    gradient: Floats,
    acc: Index,
) -> None:
    """Send the slopes of the stream down through the MLP of `layer`."""
    stay_apart()
    zero, one = np.int64(0), np.int64(1)
    sizes, blocks = sizes_of(encoder), blocks_of(encoder, layer)
    memory, here, rooms = scratch.memory, scratch.places[layer], scratch.rooms
    width, neurons = sizes.width, sizes.neurons
    stream, delta, rows = rooms[STREAM_SLOPE], rooms[INNER], memory[rooms[ROWS] :]
    wide = padded(neurons, memory.itemsize)
    transpose(memory, here[NEURONS], columns, rows, wide, neurons, columns)
    weight_gradient(
        gradient, blocks.out, memory, stream, columns, rooms, zero, width, neurons, columns, acc
    )
    bias_gradient(gradient, blocks.out_bias, memory, stream, columns, width, acc)
    product(
        memory, delta, columns, theta, blocks.out, one, neurons, memory, stream, columns,
        neurons, columns, width, zero,
    )  # fmt: skip
    slope, count = here[SLOPE], neurons * columns
    scale_by(memory[delta : delta + count], memory[slope : slope + count])
    wide = padded(width, memory.itemsize)
    transpose(memory, here[MIDDLE], columns, rows, wide, width, columns)
    weight_gradient(
        gradient, blocks.into, memory, delta, columns, rooms, zero, neurons, width, columns, acc
    )
    bias_gradient(gradient, blocks.into_bias, memory, delta, columns, neurons, acc)
    is_normalised = sizes.is_normalised == 1
    seen = rooms[SEEN] if is_normalised else stream
    product(
        memory, seen, columns, theta, blocks.into, one, width, memory, delta, columns,
        width, columns, neurons, zero if is_normalised else one,
    )  # fmt: skip
    if is_normalised:
        normalise_back(
            memory, seen, here[MIDDLE], here[MIDDLE_SPREAD], width, columns,
            memory[rooms[PEAK] :], memory[rooms[TOTAL] :],
        )  # fmt: skip
        count = width * columns
        accumulate(memory[stream : stream + count], memory[seen : seen + count])


@compiled_apart
def attention_back(
    encoder: Encoder,
    theta: Floats,
    layer: Index,
    scratch: EncoderScratch,
    heads: HeadSizes,
    gradient: Floats,
    acc: Index,
) -> None:
    """Send the slopes of the stream down through the attention of `layer`."""
    stay_apart()
    zero, one = np.int64(0), np.int64(1)
    sizes, blocks = sizes_of(encoder), blocks_of(encoder, layer)
    memory, here, rooms = scratch.memory, scratch.places[layer], scratch.rooms
    kind = memory.dtype.type
    width, inner = sizes.width, heads.heads * heads.size
    both = np.int64(2) * inner
    bp, line, columns = heads.samples, heads.line, heads.tokens * heads.samples
    is_last, is_normalised = heads.is_last == 1, sizes.is_normalised == 1
    stream, rows = rooms[STREAM_SLOPE], memory[rooms[ROWS] :]
    read, query, keys = rooms[INNER], rooms[QUERY_SLOPE], rooms[KEY_SLOPE]
    wide = padded(inner, memory.itemsize)
    transpose(memory, here[READ], line, rows, wide, inner, line)
    weight_gradient(
        gradient, blocks.output, memory, stream, line, rooms, zero, width, inner, line, acc
    )
    bias_gradient(gradient, blocks.output_bias, memory, stream, line, width, acc)
    product(
        memory, read, line, theta, blocks.output, one, inner, memory, stream, line,
        inner, line, width, zero,
    )  # fmt: skip
    if is_last:
        # Attention does not write to the columns that fill the lines.
        fill(memory[query : query + inner * line], kind(0.0))
    attend_back(
        heads, memory, here[QUERY], here[KEYS], here[PAIRS], read, query, keys,
        rooms[PAIR_SLOPE], kind(encoder.logit_scale), memory[rooms[TOTAL] :],
    )  # fmt: skip
    wide = padded(width, memory.itemsize)
    transpose(memory, here[STREAM], columns, rows, wide, width, columns)
    first = (columns - bp) * wide if is_last else zero
    asked = bp if is_last else columns
    weight_gradient(
        gradient, blocks.query, memory, query, line, rooms, first, inner, width, asked, acc
    )
    bias_gradient(gradient, blocks.query_bias, memory, query, line, inner, acc)
    weight_gradient(
        gradient, blocks.keys, memory, keys, columns, rooms, zero, both, width, columns, acc
    )
    is_apart = is_last or is_normalised
    seen = rooms[SEEN] if is_apart else stream
    product(
        memory, seen, columns, theta, blocks.keys, one, width, memory, keys, columns,
        width, columns, both, zero if is_apart else one,
    )  # fmt: skip
    asking = rooms[LAST] if is_last else seen
    product(
        memory, asking, line, theta, blocks.query, one, width, memory, query, line,
        width, line, inner, zero if is_last else one,
    )  # fmt: skip
    if is_last:
        add_last(memory, seen, columns, asking, line, bp, width)
    if is_normalised:
        normalise_back(
            memory, seen, here[STREAM], here[SPREAD], width, columns,
            memory[rooms[PEAK] :], memory[rooms[TOTAL] :],
        )  # fmt: skip
    count = width * columns
    if is_last:
        add_last(memory, seen, columns, stream, line, bp, width)
        copy(memory[stream : stream + count], memory[seen : seen + count])
    elif is_normalised:
        accumulate(memory[stream : stream + count], memory[seen : seen + count])


@compiled_apart
def readout_back(
    encoder: Encoder,
    theta: Floats,
    scratch: EncoderScratch,
    bp: Index,
    line: Index,
    gradient: Floats,
    acc: Index,
) -> None:
    """Fill the slopes of the last stream from those of the outputs."""
    stay_apart()
    zero, one = np.int64(0), np.int64(1)
    sizes = sizes_of(encoder)
    memory, rooms, width, outputs = scratch.memory, scratch.rooms, sizes.width, sizes.outputs
    kind = memory.dtype.type
    stream, delta, rows = rooms[STREAM_SLOPE], rooms[DELTA], memory[rooms[ROWS] :]
    reads_last = sizes.reads_last == 1
    wide = padded(width, memory.itemsize)
    transpose(memory, rooms[POOLED], line, rows, wide, width, line)
    weight_gradient(
        gradient, sizes.readout, memory, delta, line, rooms, zero, outputs, width, line, acc
    )
    bias_gradient(gradient, sizes.readout_bias, memory, delta, line, outputs, acc)
    pooled = stream if reads_last else rooms[LAST]
    product(
        memory, pooled, line, theta, sizes.readout, one, width, memory, delta, line,
        width, line, outputs, zero,
    )  # fmt: skip
    columns = line
    if not reads_last:
        columns = sizes.tokens * bp
        share = kind(1.0) / kind(sizes.tokens)
        for d in range(width):
            row = memory[pooled + d * line : pooled + d * line + bp]
            for i in range(bp):
                row[i] *= share
            for t in range(sizes.tokens):
                to = stream + d * columns + t * bp
                copy(memory[to : to + bp], row)
    if sizes.is_normalised == 1:
        here = scratch.places[sizes.layers]
        normalise_back(
            memory, stream, here[STREAM], here[SPREAD], width, columns,
            memory[rooms[PEAK] :], memory[rooms[TOTAL] :],
        )  # fmt: skip


@compiled_apart
def embed_back(
    encoder: Encoder, scratch: EncoderScratch, bp: Index, gradient: Floats, acc: Index
) -> None:
    """Fill the gradients of the embedding and of the positions."""
    stay_apart()
    zero = np.int64(0)
    sizes = sizes_of(encoder)
    memory, rooms, width, dim = scratch.memory, scratch.rooms, sizes.width, sizes.token_dim
    stream, columns = rooms[STREAM_SLOPE], sizes.tokens * bp
    wide = padded(dim, memory.itemsize)
    transpose(memory, zero, columns, memory[rooms[ROWS] :], wide, dim, columns)
    weight_gradient(
        gradient, sizes.embed, memory, stream, columns, rooms, zero, width, dim, columns, acc
    )
    bias_gradient(gradient, sizes.embed_bias, memory, stream, columns, width, acc)
    if sizes.positions < 0:
        return
    for t in range(sizes.tokens):
        for d in range(width):
            first = stream + d * columns + t * bp
            value = total_of(memory[first : first + bp])
            at = sizes.positions + t * width + d
            gradient[at] = gradient[at] + value if acc == 1 else value


@compiled_apart
def decode(
    encoder: Encoder,
    theta: Floats,
    scratch: EncoderScratch,
    bp: Index,
    line: Index,
    gradient: Floats,
    acc: Index,
) -> None:
    """Add (`acc` 1) or assign (`acc` 0) to `gradient` what the slopes of the outputs send down."""
    stay_apart()
    sizes = sizes_of(encoder)
    readout_back(encoder, theta, scratch, bp, line, gradient, acc)
    for step in range(sizes.layers):
        layer = sizes.layers - 1 - step
        heads = head_sizes(sizes, layer, bp, line)
        if sizes.neurons > 0:
            mlp_back(encoder, theta, layer, scratch, heads.line, gradient, acc)
        attention_back(encoder, theta, layer, scratch, heads, gradient, acc)
    embed_back(encoder, scratch, bp, gradient, acc)
