"""A transformer encoder as the compiled kernels know it, and the memory that one thread needs.

Activations are `[feature, token, sample]` with the samples contiguous: projections are products
over token-and-sample columns (`symstudy.kernels.tiles`), and attention goes through vectors of
samples (`symstudy.kernels.attention`). A lane's batch is worked through in chunks, short enough
that what a chunk leaves for the backward pass stays in the second-level cache.

Legend of names: D width of the stream, I numbers of all heads, M neurons of an MLP, T tokens; `bp`
padded samples of a token, `line` padded samples of a stage that has one token a sample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.jit import LINE_BYTES, Floats, Index, Integers, compiled_inline
from symstudy.kernels.sample_products import SAMPLE_BYTES
from symstudy.kernels.tiles import padded

__all__ = [
    "AFTER",
    "DELTA",
    "INNER",
    "KEYS",
    "KEY_SLOPE",
    "LAST",
    "MIDDLE",
    "MIDDLE_SPREAD",
    "NEURONS",
    "OUT",
    "PAIRS",
    "PAIR_SLOPE",
    "PEAK",
    "POOLED",
    "QUERY",
    "QUERY_SLOPE",
    "READ",
    "ROWS",
    "SEEN",
    "SLOPE",
    "SPREAD",
    "STREAM",
    "STREAM_SLOPE",
    "TILE",
    "TOTAL",
    "Encoder",
    "EncoderScratch",
    "LayerBlocks",
    "Sizes",
    "blocks_of",
    "chunk_samples",
    "make_encoder_scratch",
    "sizes_of",
    "token_samples",
]

CHUNK_BYTES = 1 << 20
"""What the samples of a chunk leave for the backward pass, at most: half of the second-level cache
of a server's core. A chunk has a cache line of samples at least."""
MOST_SAMPLES = 128
"""Samples of a chunk, at most."""

(STREAM, SPREAD, QUERY, KEYS, PAIRS, READ, MIDDLE, MIDDLE_SPREAD, NEURONS, SLOPE, AFTER) = range(11)
"""Columns of `EncoderScratch.places`: the stream that attention sees, and the inverse deviations of
its normalisation; queries; keys and values; weights of attention; what is read; the stream that the
MLP sees, and its deviations; the MLP's activations and their slopes; the stream after attention."""

(
    POOLED,
    OUT,
    DELTA,
    LAST,
    STREAM_SLOPE,
    SEEN,
    INNER,
    QUERY_SLOPE,
    KEY_SLOPE,
    PAIR_SLOPE,
    ROWS,
    TILE,
    PEAK,
    TOTAL,
) = range(14)
"""Places in `EncoderScratch.rooms`: what the readout reads; outputs; targets, then slopes of the
outputs; one token of each sample; slopes of the stream, of what a layer sees of it, of what queries
read or of neurons, of queries, of keys and values, of one head's weights of attention; activations
with the features contiguous; a gradient before it is copied; a number a token and sample, twice."""


class Sizes(NamedTuple):
    """Sizes of an encoder; its order is that of `Encoder.sizes`.

    Attributes:
        tokens: Tokens of a sample.
        token_dim: Numbers of a token.
        width: Numbers of the residual stream.
        heads: Heads of an attention layer.
        head_dim: Numbers of a query, key and value of a head.
        neurons: Neurons of an MLP; 0 for none.
        outputs: Outputs.
        layers: Attention layers.
        reads_last: 1 where the last token is read out, 0 for the mean of all.
        is_normalised: 1 where attention, MLPs and readout see the stream normalised, or 0.
        code: Activation of the MLPs (`symstudy.kernels.functions`).
        embed: Where the weights of the embedding start `[width, token_dim]`.
        embed_bias: Where its biases start, or -1.
        positions: Where the vectors of the positions start `[tokens, width]`, or -1.
        readout: Where the weights of the readout start `[outputs, width]`.
        readout_bias: Where its biases start, or -1.
    """

    tokens: int
    token_dim: int
    width: int
    heads: int
    head_dim: int
    neurons: int
    outputs: int
    layers: int
    reads_last: int
    is_normalised: int
    code: int
    embed: int
    embed_bias: int
    positions: int
    readout: int
    readout_bias: int


class LayerBlocks(NamedTuple):
    """Where the parameters of a layer start in the flat vector.

    Its order is that of a row of `Encoder.blocks`.

    Attributes:
        query: Weights of the queries `[I, D]`.
        query_bias: Their biases, or -1.
        keys: Weights of keys and then values `[2 I, D]`.
        output: Weights `[D, I]`.
        output_bias: Their biases, or -1.
        into: Weights of the MLP's neurons `[M, D]`, or -1.
        into_bias: Their biases, or -1.
        out: Weights of the MLP's outputs `[D, M]`, or -1.
        out_bias: Their biases, or -1.
    """

    query: int
    query_bias: int
    keys: int
    output: int
    output_bias: int
    into: int
    into_bias: int
    out: int
    out_bias: int


class Encoder(NamedTuple):
    """An encoder over one flat vector of parameters.

    Few fields, since Numba hands a tuple on number by number: with an array for each block the
    kernels took ten times as long to compile.

    Attributes:
        sizes: A `Sizes`, int64.
        blocks: `LayerBlocks` of each layer, int64 `[layers, 9]`.
        epsilon: Added to the variance in a normalisation.
        logit_scale: Factor on the logits of attention.
        loss: Code of the loss, which is no matter of the model: -1 until the trainer says.
        loss_scale: c of the squared error c * sum_o (f - y)^2 averaged over samples.
        smoothing: Share of a target of cross-entropy that is spread evenly over the outputs.
    """

    sizes: Integers
    blocks: Integers
    epsilon: float
    logit_scale: float
    loss: int = -1
    loss_scale: float = 1.0
    smoothing: float = 0.0


class EncoderScratch(NamedTuple):
    """Memory that one thread needs to work on a lane, used again for every lane and step.

    Attributes:
        chunk: Samples worked on at a time.
        places: Where the arrays of each layer start in `memory` `[layers + 1, 11]`; the last row
            has the stream that the readout sees.
        rooms: Where the other arrays start.
        memory: Inputs from 0 on, then all arrays.
    """

    chunk: int
    places: Integers
    rooms: Integers
    memory: Floats


@compiled_inline
def sizes_of(encoder: Encoder) -> Sizes:
    """Return the sizes of `encoder` by name."""
    s = encoder.sizes
    return Sizes(
        s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12], s[13],
        s[14], s[15],
    )  # fmt: skip


@compiled_inline
def blocks_of(encoder: Encoder, layer: Index) -> LayerBlocks:
    """Return where the parameters of `layer` start, by name."""
    b = encoder.blocks[layer]
    return LayerBlocks(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8])


@compiled_inline
def token_samples(count: Index, tokens: Index, itemsize: Index) -> Index:
    """Return how many samples `count` is padded to: all tokens of them fill whole cache lines."""
    part = SAMPLE_BYTES // itemsize
    samples = (count + part - 1) // part * part
    if samples * tokens * itemsize % LINE_BYTES != 0:
        samples = padded(count, itemsize)
    return samples


def places_of(sizes: Sizes, samples: int) -> tuple[NDArray[np.int64], int]:
    """Return `EncoderScratch.places` for chunks of so many samples, and where they end."""
    inner = sizes.heads * sizes.head_dim
    at = sizes.token_dim * sizes.tokens * samples
    places = np.zeros((sizes.layers + 1, AFTER + 1), np.int64)
    for layer in range(sizes.layers + 1):
        is_end = layer == sizes.layers
        before = samples * (1 if is_end and sizes.reads_last else sizes.tokens)
        after = samples * (1 if layer >= sizes.layers - 1 and sizes.reads_last else sizes.tokens)
        lengths = {STREAM: sizes.width * before, SPREAD: before}
        if not is_end:
            lengths |= {
                QUERY: inner * after,
                KEYS: 2 * inner * before,
                PAIRS: sizes.heads * sizes.tokens * after,
                READ: inner * after,
            }
            if sizes.neurons:
                lengths |= {
                    MIDDLE: sizes.width * after,
                    MIDDLE_SPREAD: after,
                    NEURONS: sizes.neurons * after,
                    SLOPE: sizes.neurons * after,
                }
        for place, length in lengths.items():
            places[layer, place] = at
            at += length
    places[:-1, AFTER] = places[:-1, MIDDLE] if sizes.neurons else places[1:, STREAM]
    return places, at


def chunk_samples(sizes: Sizes, itemsize: int) -> int:
    """Return the samples of a chunk: a function of the network and the precision alone."""
    line = LINE_BYTES // itemsize
    _, each = places_of(sizes, line)
    fitting = CHUNK_BYTES // (each * itemsize) * line
    return max(line, min(fitting, MOST_SAMPLES))


def make_encoder_scratch(encoder: Encoder, dtype: np.dtype[np.floating]) -> EncoderScratch:
    """Return scratch for one lane of `encoder`, whatever the batch.

    Every array that `transpose` reads or writes ends in a block of slack.
    """
    sizes = Sizes(*encoder.sizes.tolist())
    line = LINE_BYTES // dtype.itemsize
    chunk = chunk_samples(sizes, dtype.itemsize)
    places, at = places_of(sizes, chunk)
    columns = sizes.tokens * chunk
    width, inner, outputs = sizes.width, sizes.heads * sizes.head_dim, sizes.outputs
    inputs = sizes.tokens * sizes.token_dim
    most_in = max(width, inner, sizes.neurons, sizes.token_dim)
    most_out = max(width, 2 * inner, sizes.neurons, outputs)
    wide = -(-most_in // line) * line
    slack = line * max(columns, *(-(-each // line) * line for each in (wide, inputs, outputs)))
    lengths = {
        POOLED: width * chunk + slack,
        OUT: outputs * chunk,
        DELTA: outputs * chunk + slack,
        LAST: width * chunk,
        STREAM_SLOPE: width * columns,
        SEEN: max(width * columns, inputs * chunk + slack),
        INNER: max(inner, sizes.neurons) * columns,
        QUERY_SLOPE: inner * columns,
        KEY_SLOPE: 2 * inner * columns,
        PAIR_SLOPE: sizes.tokens * columns,
        ROWS: max(columns * wide, chunk * (inputs + line), chunk * (outputs + line)) + slack,
        TILE: most_out * wide,
        PEAK: columns,
        TOTAL: columns,
    }
    at += slack
    rooms = np.zeros(len(lengths), np.int64)
    for place, length in lengths.items():
        rooms[place] = at
        at += -(-length // line) * line
    return EncoderScratch(chunk, places, rooms, np.zeros(at, dtype))
