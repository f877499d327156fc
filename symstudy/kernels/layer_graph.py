"""A network of convolutions as a table of operations, and the memory that one thread works in.

The operations are those of plain and residual networks of images: a convolution; what follows one
(a norm, a sum with another buffer, an activation, each or none of them); a pooling. The last buffer
is averaged over pixels and goes into dense layers, which are those of `symstudy.kernels.network`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.convolution import TapLists
from symstudy.kernels.convolution_tiles import INNER, OUTER
from symstudy.kernels.functions import LINEAR, RELU
from symstudy.kernels.jit import LINE_BYTES, Floats, Index, Integers, compiled
from symstudy.kernels.network import Network, Scratch, make_scratch
from symstudy.kernels.vector_instructions import VECTOR_BYTES

CHUNK_LINES = 2
"""Cache lines of samples of a chunk, at most: with one register tile of them the weights are read
often enough to stay near, and the pixels that a tile sees stay in the first cache."""

CONVOLUTION, FOLLOWING, POOLING = range(3)
"""Kinds of operations."""
NO_NORM, BATCH_NORM, GROUP_NORM = range(3)
"""Norms of what follows a convolution."""
NO_GRADIENT, ASSIGNED, ADDED = -1, 0, 1
"""What becomes of the gradient of a buffer that an operation reads."""

(
    KIND,
    CHANNELS,
    ROWS,
    COLUMNS,
    CHANNELS_ABOVE,
    ROWS_ABOVE,
    COLUMNS_ABOVE,
    BELOW,
    ABOVE,
    BESIDE,
    DOWN_BELOW,
    DOWN_ABOVE,
    DOWN_BESIDE,
    SENDS_BELOW,
    SENDS_BESIDE,
    SIZE,
    STRIDE,
    PAD,
    WEIGHTS,
    BIASES,
    NORM,
    GROUPS,
    STATE,
    STATISTIC,
    CODE,
    IS_MAXIMUM,
) = range(26)
"""Columns of the table of operations.

KIND; the sizes of the images that are read, and of those that are made (`..._ABOVE`). Where the
activations lie, in numbers a sample: BELOW what is read, ABOVE what is made, BESIDE what is added,
or -1; where their gradients lie (`DOWN_...`); what becomes of the gradients of what is read
(SENDS_BELOW) and of what is added (SENDS_BESIDE). SIZE, STRIDE and PAD of a window. WEIGHTS and
BIASES: where the weights of a convolution and its biases, or the gains and biases of a norm, start
in the flat vector of parameters; -1 for none. NORM and its GROUPS; STATE, where the running means
of a batch norm start in the lane's state, its running variances behind them; STATISTIC, where what
a norm finds is kept. CODE of the activation; IS_MAXIMUM of a pooling.
"""
FIELDS = 26


class LayerGraph(NamedTuple):
    """Operations on images over one flat vector of parameters.

    Attributes:
        ops: The operations in order, `[operations, FIELDS]`.
        epsilon: What each norm adds to a variance.
        momentum: Share of a batch in the running means of each batch norm.
        size: Numbers a sample of all activations; the images that are read come first.
        down_size: Numbers a sample of all gradients; those that are not needed at the same time
            share their places.
        last: Row of `ops` that makes what is read out.
        states: Numbers of a lane's state.
        head: The dense layers on the means over pixels, with the loss.
    """

    ops: Integers
    epsilon: Floats
    momentum: Floats
    size: int
    down_size: int
    last: int
    states: int
    head: Network


class GraphScratch(NamedTuple):
    """Arrays that one thread needs to work on a lane, used again for every lane and step.

    Attributes:
        most: Samples that fit at a time.
        act: Activations of all buffers.
        slope: Slopes of the activation functions, in the places of `act`; nothing where the
            activations tell the slopes.
        down: Gradients of buffers.
        packed: Packed weights of one convolution.
        sums: Tiles of one gradient of weights.
        statistic: For each channel of each batch norm the mean, the inverse deviation and the
            variance of the batch.
        of_samples: For each group norm, chunk and group, the means and inverse deviations of the
            samples.
        row: Two rows of samples.
        inputs: Samples as they are read.
        lists: Lists of the tiles.
        head: Of the dense layers.
        found: Loss and hits of a pass, float64.
        places: Position in the batch of the samples that are worked on, and samples of the batch.
    """

    most: int
    act: Floats
    slope: Floats
    down: Floats
    packed: Floats
    sums: Floats
    statistic: Floats
    of_samples: Floats
    row: Floats
    inputs: Floats
    lists: TapLists
    head: Scratch
    found: Floats
    places: Integers


class Cut(NamedTuple):
    """How samples are cut into chunks.

    Attributes:
        samples: Samples of all chunks.
        chunks: Chunks.
        share: Samples of each chunk but the last, which may have fewer.
        width: Samples of a row of memory: whole cache lines.
    """

    samples: int
    chunks: int
    share: int
    width: int


@compiled
def cut_samples(count: Index, itemsize: Index) -> Cut:
    """Return how `count` samples of numbers of `itemsize` bytes are cut into chunks."""
    line = LINE_BYTES // itemsize
    most = CHUNK_LINES * line
    chunks = (count + most - 1) // most
    share = (count + chunks - 1) // chunks
    return Cut(count, chunks, share, (share + line - 1) // line * line)


@compiled
def samples_of(cut: Cut, chunk: Index) -> Index:
    """Return how many samples a chunk has."""
    return min(cut.share, cut.samples - chunk * cut.share)


def make_graph_scratch(graph: LayerGraph, batch: int, dtype: np.dtype[np.floating]) -> GraphScratch:
    """Return scratch for up to `batch` samples of `graph` at a time.

    Every array that `transpose` writes ends in a block of slack.
    """
    cut = cut_samples(batch, dtype.itemsize)
    room = cut.chunks * cut.width
    line = LINE_BYTES // dtype.itemsize
    lanes = VECTOR_BYTES // dtype.itemsize
    ops = graph.ops
    convolutions = ops[ops[:, KIND] == CONVOLUTION]
    taps = convolutions[:, SIZE] ** 2
    pairs = taps * convolutions[:, ROWS_ABOVE] * convolutions[:, COLUMNS_ABOVE]
    weights = taps * convolutions[:, CHANNELS] * convolutions[:, CHANNELS_ABOVE]
    following = ops[ops[:, KIND] == FOLLOWING]
    batch_normed = following[following[:, NORM] == BATCH_NORM]
    group_normed = following[following[:, NORM] == GROUP_NORM]
    has_slopes = bool((~np.isin(following[:, CODE], (LINEAR, RELU))).any())
    inputs = int(ops[0, CHANNELS] * ops[0, ROWS] * ops[0, COLUMNS])

    def zeros(count: int) -> NDArray[np.floating]:
        return np.zeros(max(1, count), dtype)

    def integers(count: int) -> NDArray[np.int64]:
        return np.zeros(count, np.int64)

    size = graph.size * room + line * cut.width * line
    return GraphScratch(
        most=batch,
        act=zeros(size),
        slope=zeros(size if has_slopes else 1),
        down=zeros(graph.down_size * room),
        packed=zeros(int(weights.max())),
        sums=zeros(int(taps.max()) * OUTER * INNER * lanes),
        statistic=zeros(3 * int(batch_normed[:, CHANNELS].sum())),
        of_samples=zeros(2 * int(group_normed[:, GROUPS].sum()) * room),
        row=zeros(2 * cut.width),
        inputs=zeros(cut.width * (-(-inputs // line) * line + line)),
        lists=TapLists(
            weight=integers(int(taps.max())),
            pixel=integers(int(taps.max())),
            above=integers(int(pairs.max())),
            below=integers(int(pairs.max())),
            start=integers(int((taps * (convolutions[:, ROWS_ABOVE] + 1)).max())),
        ),
        head=make_scratch(graph.head, CHUNK_LINES * line, dtype),
        found=np.zeros(2),
        places=integers(2),
    )
