"""Forward pass of one lane of a transformer encoder; names as in `symstudy.kernels.encoder`."""

import numpy as np

from symstudy.kernels.attention import HeadSizes, attend
from symstudy.kernels.encoder import (
    AFTER,
    KEYS,
    LAST,
    MIDDLE,
    MIDDLE_SPREAD,
    NEURONS,
    OUT,
    PAIRS,
    PEAK,
    POOLED,
    QUERY,
    READ,
    ROWS,
    SEEN,
    SLOPE,
    SPREAD,
    STREAM,
    TOTAL,
    Encoder,
    EncoderScratch,
    Sizes,
    blocks_of,
    sizes_of,
)
from symstudy.kernels.functions import activate
from symstudy.kernels.jit import (
    Floats,
    Index,
    Integers,
    Real,
    compiled_apart,
    compiled_inline,
    stay_apart,
)
from symstudy.kernels.tiles import padded, product, transpose
from symstudy.kernels.vectors import accumulate, copy, fill

__all__ = ["encode", "head_sizes", "load_tokens"]


@compiled_apart
def affine(
    memory: Floats,
    to: Index,
    ldt: Index,
    theta: Floats,
    weight: Index,
    bias: Index,
    at: Index,
    lds: Index,
    n_out: Index,
    n_in: Index,
    columns: Index,
    adds: Index,
) -> None:
    """Assign (`adds` 0) or add (`adds` 1) to rows of `memory` the linear layer of other rows.

    Args:
        memory: Written from `to` on, and read from `at` on.
        to: Where the result begins.
        ldt: Items between its rows.
        theta: Parameters.
        weight: Where the weight `[n_out, n_in]` starts.
        bias: Where the bias starts, or -1.
        at: Where what the layer sees begins.
        lds: Items between its rows.
        n_out: Rows of the result.
        n_in: Rows of what it sees.
        columns: Items of each row, whole cache lines.
        adds: See above.
    """
    stay_apart()
    one = np.int64(1)
    acc = adds
    if bias >= 0:
        acc = one
        for row in range(n_out):
            line = memory[to + row * ldt : to + row * ldt + columns]
            value = theta[bias + row]
            if adds == 1:
                for i in range(line.size):
                    line[i] += value
            else:
                fill(line, value)
    product(memory, to, ldt, theta, weight, n_in, one, memory, at, lds, n_out, columns, n_in, acc)


@compiled_apart
def normalise(
    memory: Floats,
    at: Index,
    spread: Index,
    width: Index,
    columns: Index,
    epsilon: Real,
    mean: Floats,
) -> None:
    """Replace each column `[width]` by itself less its mean, over its standard deviation.

    Args:
        memory: Holds the columns from `at` on; the inverse deviations are written from `spread` on.
        at: See `memory`.
        spread: See `memory`.
        width: Numbers of a column.
        columns: Columns.
        epsilon: Added to the variance.
        mean: Room for a number a column.
    """
    stay_apart()
    kind = memory.dtype.type
    share = kind(1.0) / kind(width)
    deviation = memory[spread : spread + columns]
    mean = mean[:columns]
    fill(mean, kind(0.0))
    for d in range(width):
        accumulate(mean, memory[at + d * columns : at + (d + 1) * columns])
    for i in range(columns):
        mean[i] *= share
    fill(deviation, kind(0.0))
    for d in range(width):
        line = memory[at + d * columns : at + (d + 1) * columns]
        for i in range(columns):
            line[i] -= mean[i]
            deviation[i] += line[i] * line[i]
    for i in range(columns):
        deviation[i] = kind(1.0) / np.sqrt(deviation[i] * share + kind(epsilon))
    for d in range(width):
        line = memory[at + d * columns : at + (d + 1) * columns]
        for i in range(columns):
            line[i] *= deviation[i]


@compiled_apart
def take_last(
    memory: Floats, at: Index, to: Index, sizes: HeadSizes, line: Index, width: Index
) -> None:
    """Copy the last token of each feature, its rows filled up with zeros to `line` items."""
    stay_apart()
    bp = sizes.samples
    columns = sizes.tokens * bp
    for d in range(width):
        row = memory[to + d * line : to + (d + 1) * line]
        first = at + (d + 1) * columns - bp
        copy(row[:bp], memory[first : first + bp])
        fill(row[bp:], row.dtype.type(0.0))


@compiled_apart
def load_tokens(
    sizes: Sizes, x: Floats, rows: Integers, scratch: EncoderScratch, bp: Index
) -> None:
    """Gather the samples `rows` of `x[n, tokens * token_dim]` as `[token_dim, token, sample]`."""
    stay_apart()
    memory, by_sample, by_input = scratch.memory, scratch.rooms[ROWS], scratch.rooms[SEEN]
    width = x.shape[1]
    wide = padded(width, x.itemsize)
    line = padded(rows.size, x.itemsize)
    for b in range(rows.size):
        at = by_sample + b * wide
        copy(memory[at : at + width], x[rows[b]])
    transpose(memory, by_sample, wide, memory[by_input:], line, rows.size, width)
    for t in range(sizes.tokens):
        for i in range(sizes.token_dim):
            to = (i * sizes.tokens + t) * bp
            at = by_input + (t * sizes.token_dim + i) * line
            copy(memory[to : to + rows.size], memory[at : at + rows.size])
            fill(memory[to + rows.size : to + bp], x.dtype.type(0.0))


@compiled_apart
def embed(sizes: Sizes, theta: Floats, scratch: EncoderScratch, bp: Index) -> None:
    """Fill the stream that the first layer sees."""
    stay_apart()
    memory, stream = scratch.memory, scratch.places[0, STREAM]
    width, columns = sizes.width, sizes.tokens * bp
    for d in range(width):
        bias = theta[sizes.embed_bias + d] if sizes.embed_bias >= 0 else theta.dtype.type(0.0)
        for t in range(sizes.tokens):
            at = stream + d * columns + t * bp
            value = bias
            if sizes.positions >= 0:
                value += theta[sizes.positions + t * width + d]
            fill(memory[at : at + bp], value)
    zero, one = np.int64(0), np.int64(1)
    dim = sizes.token_dim
    product(
        memory, stream, columns, theta, sizes.embed, dim, one, memory, zero, columns,
        width, columns, dim, one,
    )  # fmt: skip


@compiled_apart
def attention_layer(
    encoder: Encoder, theta: Floats, layer: Index, scratch: EncoderScratch, heads: HeadSizes
) -> None:
    """Fill the stream after attention `layer` from the stream before, which is normalised."""
    stay_apart()
    zero, one = np.int64(0), np.int64(1)
    sizes, blocks = sizes_of(encoder), blocks_of(encoder, layer)
    memory, here, rooms = scratch.memory, scratch.places[layer], scratch.rooms
    width, inner = sizes.width, heads.heads * heads.size
    columns, line = heads.tokens * heads.samples, heads.line
    is_last = heads.is_last == 1
    stream, after = here[STREAM], here[AFTER]
    query, keys, read = here[QUERY], here[KEYS], here[READ]
    peak = memory[rooms[PEAK] : rooms[PEAK] + columns]
    total = memory[rooms[TOTAL] : rooms[TOTAL] + columns]
    if is_last:
        take_last(memory, stream, after, heads, line, width)
    else:
        copy(memory[after : after + width * columns], memory[stream : stream + width * columns])
    if sizes.is_normalised == 1:
        normalise(memory, stream, here[SPREAD], width, columns, encoder.epsilon, peak)
    asking = stream
    if is_last:
        asking = rooms[LAST]
        take_last(memory, stream, asking, heads, line, width)
        # Attention does not write to the columns that fill the lines.
        fill(memory[read : read + inner * line], memory.dtype.type(0.0))
    affine(
        memory, query, line, theta, blocks.query, blocks.query_bias, asking, line,
        inner, width, line, zero,
    )  # fmt: skip
    affine(
        memory, keys, columns, theta, blocks.keys, np.int64(-1), stream, columns,
        np.int64(2) * inner, width, columns, zero,
    )  # fmt: skip
    scale = memory.dtype.type(encoder.logit_scale)
    attend(heads, memory, query, keys, here[PAIRS], read, scale, peak, total)
    affine(
        memory, after, line, theta, blocks.output, blocks.output_bias, read, line,
        width, inner, line, one,
    )  # fmt: skip


@compiled_apart
def mlp_layer(
    encoder: Encoder,
    theta: Floats,
    coefficient: Real,
    layer: Index,
    scratch: EncoderScratch,
    columns: Index,
) -> None:
    """Fill the stream after the MLP of `layer` from the stream before, which is normalised."""
    stay_apart()
    zero, one = np.int64(0), np.int64(1)
    sizes, blocks = sizes_of(encoder), blocks_of(encoder, layer)
    memory, here, room = scratch.memory, scratch.places[layer], scratch.rooms[PEAK]
    width, neurons = sizes.width, sizes.neurons
    middle, z, slope = here[MIDDLE], here[NEURONS], here[SLOPE]
    after = scratch.places[layer + 1, STREAM]
    copy(memory[after : after + width * columns], memory[middle : middle + width * columns])
    if sizes.is_normalised == 1:
        peak = memory[room : room + columns]
        normalise(memory, middle, here[MIDDLE_SPREAD], width, columns, encoder.epsilon, peak)
    affine(
        memory, z, columns, theta, blocks.into, blocks.into_bias, middle, columns,
        neurons, width, columns, zero,
    )  # fmt: skip
    count = neurons * columns
    activate(memory[z : z + count], memory[slope : slope + count], sizes.code, coefficient)
    affine(
        memory, after, columns, theta, blocks.out, blocks.out_bias, z, columns,
        width, neurons, columns, one,
    )  # fmt: skip


@compiled_apart
def read_out(
    encoder: Encoder, theta: Floats, scratch: EncoderScratch, bp: Index, line: Index
) -> None:
    """Fill what is pooled and the outputs from the last stream, which is normalised."""
    stay_apart()
    zero = np.int64(0)
    sizes = sizes_of(encoder)
    memory, rooms, width = scratch.memory, scratch.rooms, sizes.width
    kind = memory.dtype.type
    columns = line if sizes.reads_last == 1 else sizes.tokens * bp
    here = scratch.places[sizes.layers]
    stream, pooled = here[STREAM], rooms[POOLED]
    if sizes.is_normalised == 1:
        peak = memory[rooms[PEAK] : rooms[PEAK] + columns]
        normalise(memory, stream, here[SPREAD], width, columns, encoder.epsilon, peak)
    if sizes.reads_last == 1:
        copy(memory[pooled : pooled + width * line], memory[stream : stream + width * line])
    else:
        share = kind(1.0) / kind(sizes.tokens)
        for d in range(width):
            row = memory[pooled + d * line : pooled + (d + 1) * line]
            fill(row, kind(0.0))
            for t in range(sizes.tokens):
                at = stream + d * columns + t * bp
                accumulate(row[:bp], memory[at : at + bp])
            for i in range(bp):
                row[i] *= share
    affine(
        memory, rooms[OUT], line, theta, sizes.readout, sizes.readout_bias, pooled, line,
        sizes.outputs, width, line, zero,
    )  # fmt: skip


@compiled_inline
def head_sizes(sizes: Sizes, layer: Index, bp: Index, line: Index) -> HeadSizes:
    """Return the sizes of the attention of `layer` on a chunk of `bp` samples.

    Of the last layer the last token alone is needed where that is read out.
    """
    is_last = sizes.reads_last == 1 and layer == sizes.layers - 1
    queries = np.int64(1) if is_last else sizes.tokens
    columns = line if is_last else sizes.tokens * bp
    return HeadSizes(
        sizes.heads, sizes.head_dim, sizes.tokens, queries, bp, columns, np.int64(is_last)
    )


@compiled_apart
def encode(
    encoder: Encoder,
    theta: Floats,
    coefficient: Real,
    scratch: EncoderScratch,
    bp: Index,
    line: Index,
) -> None:
    """Fill `scratch.memory` from the inputs already there, up to the outputs."""
    stay_apart()
    sizes = sizes_of(encoder)
    embed(sizes, theta, scratch, bp)
    for layer in range(sizes.layers):
        heads = head_sizes(sizes, layer, bp, line)
        attention_layer(encoder, theta, layer, scratch, heads)
        if sizes.neurons > 0:
            mlp_layer(encoder, theta, coefficient, layer, scratch, heads.line)
    read_out(encoder, theta, scratch, bp, line)
