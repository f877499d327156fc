"""Loss and gradient of one lane of a network of convolutions.

The whole batch goes through one operation before the next begins, since a batch norm needs all of
it; within an operation, chunk after chunk. In evaluation no sample knows of another, so samples go
through a scratch full at a time.
"""

from symstudy.kernels.graph_steps import GraphSteps
from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled
from symstudy.kernels.layer_graph import (
    BATCH_NORM,
    CHANNELS,
    COLUMNS,
    CONVOLUTION,
    FOLLOWING,
    KIND,
    NORM,
    POOLING,
    ROWS,
    STATE,
    STATISTIC,
    Cut,
    GraphScratch,
    LayerGraph,
    cut_samples,
)
from symstudy.kernels.vectors import fill


@compiled
def images_forward(
    graph: LayerGraph,
    steps: GraphSteps,
    theta: Floats,
    state: Floats,
    is_training: Index,
    scratch: GraphScratch,
    cut: Cut,
) -> None:
    """Compute all images from the inputs."""
    act, slope = scratch.act, scratch.slope
    for i in range(graph.ops.shape[0]):
        op = graph.ops[i]
        if op[KIND] == CONVOLUTION:
            steps.convolution_forward(op, theta, act, scratch.packed, scratch.lists, cut)
        elif op[KIND] == FOLLOWING:
            steps.follow(
                op,
                graph.epsilon[i],
                theta,
                state,
                is_training,
                act,
                slope,
                scratch.statistic,
                scratch.of_samples,
                scratch.row,
                cut,
            )
        elif op[KIND] == POOLING:
            steps.pooling_forward(op, act, cut)
        else:
            raise ValueError("the kernels must know the operation's code")


@compiled
def images_backward(
    graph: LayerGraph,
    steps: GraphSteps,
    theta: Floats,
    gradient: Floats,
    is_training: Index,
    scratch: GraphScratch,
    cut: Cut,
) -> None:
    """Send the gradient of the last images down to the first, and add those of parameters."""
    act, down = scratch.act, scratch.down
    for i in range(graph.ops.shape[0] - 1, -1, -1):
        op = graph.ops[i]
        if op[KIND] == CONVOLUTION:
            steps.convolution_backward(
                op, theta, gradient, act, down, scratch.packed, scratch.sums, scratch.lists, cut
            )
        elif op[KIND] == FOLLOWING:
            steps.unfollow(
                op,
                theta,
                gradient,
                is_training,
                act,
                scratch.slope,
                down,
                scratch.statistic,
                scratch.of_samples,
                scratch.row,
                cut,
            )
        else:
            steps.pooling_backward(op, act, down, cut)


@compiled
def graph_pass(
    graph: LayerGraph,
    steps: GraphSteps,
    theta: Floats,
    state: Floats,
    is_training: Index,
    x: Floats,
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    gradient: Floats,
    scratch: GraphScratch,
) -> tuple[Real, Index]:
    """Return the mean loss of the samples `rows`; with it the gradient, or else the hits.

    Args:
        graph: The network.
        steps: Its operations.
        theta: The lane's parameters, flat; every array of floats has its type.
        state: The lane's running means and variances.
        is_training: 1 where a batch norm takes the means of the batch, so that all of it must fit
            the scratch; 0 where it takes the running ones.
        x: Inputs `[n, d]`, images by channel, row and column.
        y: Targets `[n, outputs]`.
        rows: Which samples.
        kind: Label noise of this step, see `symstudy.kernels.losses.load_targets`.
        sigma: See there.
        noise: See there.
        gradient: Assigned the gradient, flat like `theta`; where it is empty, hits are counted.
        scratch: Of `make_graph_scratch`.
    """
    found, places = scratch.found, scratch.places
    found[0] = 0.0
    found[1] = 0.0
    if gradient.size > 0:
        fill(gradient, theta.dtype.type(0.0))
    start = 0
    while start < rows.size:
        some = rows[start : start + scratch.most]
        cut = cut_samples(some.size, theta.itemsize)
        steps.load_images(graph.ops[0], x, some, scratch.act, scratch.inputs, cut)
        images_forward(graph, steps, theta, state, is_training, scratch, cut)
        places[0] = start
        places[1] = rows.size
        steps.read_out(
            graph.head,
            theta,
            gradient,
            y,
            some,
            kind,
            sigma,
            noise,
            places,
            graph.ops[graph.last],
            scratch.act,
            scratch.down,
            scratch.head,
            cut,
            found,
        )
        if gradient.size > 0:
            images_backward(graph, steps, theta, gradient, is_training, scratch, cut)
        start += scratch.most
    return found[0], found[1]


@compiled
def keep_statistics(graph: LayerGraph, state: Floats, count: Index, scratch: GraphScratch) -> None:
    """Move a lane's running means and variances towards those of its last training batch.

    The variance that is kept is over n - 1, as torch keeps it.

    Args:
        graph: The network.
        state: Of the lane; written.
        count: Samples of the batch.
        scratch: Of the pass.
    """
    one = state.dtype.type(1.0)
    for i in range(graph.ops.shape[0]):
        op = graph.ops[i]
        if op[KIND] != FOLLOWING or op[NORM] != BATCH_NORM:
            continue
        channels = op[CHANNELS]
        many = count * op[ROWS] * op[COLUMNS]
        share = state.dtype.type(graph.momentum[i])
        unbiased = state.dtype.type(many / (many - 1.0))
        for channel in range(channels):
            found = 3 * (op[STATISTIC] + channel)
            at = op[STATE] + channel
            mean, variance = scratch.statistic[found], scratch.statistic[found + 2]
            state[at] = (one - share) * state[at] + share * mean
            behind = at + channels
            state[behind] = (one - share) * state[behind] + share * (variance * unbiased)
