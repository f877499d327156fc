"""Sizes that a plan needs before anything is built: of data, and of a network on them."""

import itertools
from typing import NamedTuple

__all__ = ["UNKNOWN_PARAMETERS", "DataShape", "NetworkSize", "dense_size"]

UNKNOWN_PARAMETERS = 100_000
"""Assumed size of trained weights whose file is not there yet."""
LARGE_CALL = {"cpu": 500_000, "cuda": 200_000_000}
"""Multiplications of one torch operation, all samples of a batch together, from which on the work
outweighs the call, so that one call for all runs gains nothing. On one core of a server, thirteen
networks in packs of 8 took 1.0 to 2.6 times as long one by one below it, the smaller the more, and
0.8 to 1.2 times above; on a GPU nobody has measured it: it is what some 10 microseconds of a call
take at 20 trillion multiplications a second."""


MOST_CHANNELS = 64
"""Channels of the widest convolution up to which the compiled kernels were measured to be faster
than torch: `python tests/benchmarks/convolution.py`."""


def pays_compiled(channels: int) -> bool:
    """Return whether the compiled kernels are faster than torch for convolutions so wide."""
    return 0 < channels <= MOST_CHANNELS


class DataShape(NamedTuple):
    """Sizes of a data set.

    Attributes:
        inputs: Number of inputs.
        outputs: Number of outputs, or of classes.
        train: Number of training samples; 0 where every batch is drawn anew.
        test: Number of test samples.
        is_classification: Whether targets are classes.
        tokens: Tokens that the inputs are a sequence of; 0 for none.
        input_shape: Axes of one sample, such as (3, 32, 32) for images by channel, row and column;
            empty for one flat row. Their product is `inputs`: arrays of data are flat rows.
        is_integer: Whether inputs are integers, such as the numbers of tokens in a vocabulary.
    """

    inputs: int
    outputs: int
    train: int
    test: int
    is_classification: bool
    tokens: int = 0
    input_shape: tuple[int, ...] = ()
    is_integer: bool = False


class NetworkSize(NamedTuple):
    """What a cost estimate needs of a network.

    Attributes:
        parameters: Number of parameters, about.
        products: Multiplications of one sample's forward pass.
        activations: Numbers that one sample leaves for the backward pass.
        hidden: Neurons of each layer that is measured neuron by neuron.
        heads: Heads of all attention layers.
        head_numbers: Numbers of a head's matrix.
        is_dense: Whether the network is nothing but dense layers.
        has_step_kernels: Whether the compiled kernels take its steps though it is more than that.
        stages: Groups of calls of a step on the torch engine, as many as a dense network takes.
        file_bytes: Size of the file that is read and measured in place of a training; 0 for none.
        calls: Torch operations of a forward pass, where they have been counted; 0 elsewhere.
        can_batch: Whether a step of all runs can be one batched call.
        channels: Channels of the widest convolution, where the compiled kernels know all layers;
            0 elsewhere.
        unknown: What the compiled kernels do not know of a module of the user's own; empty where
            they know all of it.
    """

    parameters: int
    products: int
    activations: int
    hidden: tuple[int, ...] = ()
    heads: int = 0
    head_numbers: int = 0
    is_dense: bool = False
    has_step_kernels: bool = False
    stages: int = 1
    file_bytes: int = 0
    calls: int = 0
    can_batch: bool = True
    channels: int = 0
    unknown: str = ""

    def is_large_call(self, batch: int, device: str) -> bool:
        """Return whether an operation's work outweighs its call, so that batching gains nothing.

        Args:
            batch: Samples of a step.
            device: `cpu` or `cuda`.
        """
        return self.calls > 0 and self.products * batch > LARGE_CALL[device] * self.calls


def dense_size(inputs: int, width: int, hidden: int, outputs: int) -> NetworkSize:
    """Return the size of a stack of dense layers with `hidden` layers of `width` neurons."""
    sizes = [inputs, *[width] * hidden, outputs]
    parameters = sum((i + 1) * o for i, o in itertools.pairwise(sizes))
    return NetworkSize(
        parameters=parameters,
        products=parameters,
        activations=(hidden + 2) * max(sizes),
        hidden=(width,) * hidden,
        is_dense=True,
    )
