"""Networks as the compiled kernels know them, without a loss: dense layers and convolutions."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.kernels.codes import SQUARED
from symstudy.kernels.layer_graph import CHANNELS_ABOVE, CONVOLUTION, KIND, LayerGraph
from symstudy.kernels.network import Network

__all__ = ["NORM_BUFFERS", "DenseStack", "ImageStack", "NormState"]

NORM_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""What a batch norm of torch holds beside its parameters."""


class DenseStack(NamedTuple):
    """A model that is nothing but dense layers, for the compiled kernels.

    Attributes:
        sizes: Fan-in of each layer, then the output size.
        weights: Where each weight `[out, in]` starts in the flat vector.
        biases: Where each bias starts, or -1.
        codes: Activation code of each layer.
        coefficient: Coefficient of the polynomial activation.
    """

    sizes: Int64[np.ndarray, " layers_and_output"]
    weights: Int64[np.ndarray, " layers"]
    biases: Int64[np.ndarray, " layers"]
    codes: Int64[np.ndarray, " layers"]
    coefficient: float

    def network(
        self, loss: int = SQUARED, loss_scale: float = 1.0, smoothing: float = 0.0
    ) -> Network:
        """Return the layers with a loss; see `symstudy.kernels.network.Network`."""
        return Network(
            self.sizes, self.weights, self.biases, self.codes, loss, loss_scale, smoothing
        )


class NormState(NamedTuple):
    """Where a lane's state has the running means of a batch norm; the variances lie behind them.

    Attributes:
        name: Of the norm in its module.
        start: Place of the first mean.
        channels: Channels.
    """

    name: str
    start: int
    channels: int


class ImageStack(NamedTuple):
    """A network of convolutions for the compiled kernels, or why a model is none.

    Attributes:
        graph: Its operations, its loss not yet known; None if the kernels do not know one of them.
        norms: Where its running means are kept.
        reason: What the kernels do not know; empty if they know all.
    """

    graph: LayerGraph | None
    norms: tuple[NormState, ...] = ()
    reason: str = ""

    @property
    def widest(self) -> int:
        """Channels of its widest convolution; 0 where the kernels do not know it."""
        if self.graph is None:
            return 0
        ops = self.graph.ops
        return int(ops[ops[:, KIND] == CONVOLUTION][:, CHANNELS_ABOVE].max())

    @property
    def buffer_names(self) -> set[str]:
        """Names of what its batch norms hold beside their parameters, as torch calls them."""
        return {f"{norm.name}.{key}" for norm in self.norms for key in NORM_BUFFERS}

    def buffers_of(
        self, states_KS: Float[Tensor, "runs states"], counts_K: Int64[Tensor, " runs"]
    ) -> dict[str, Tensor]:
        """Return what batch norms hold, by torch's names, as views.

        Args:
            states_KS: Running means and variances.
            counts_K: Batches that they have seen.
        """
        found: dict[str, Tensor] = {}
        for norm in self.norms:
            middle, stop = norm.start + norm.channels, norm.start + 2 * norm.channels
            columns = states_KS[:, norm.start : middle], states_KS[:, middle:stop], counts_K
            names = (f"{norm.name}.{key}" for key in NORM_BUFFERS)
            found |= dict(zip(names, columns, strict=True))
        return found
