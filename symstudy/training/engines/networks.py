"""A pack's model and loss as the compiled kernels know them."""

from symstudy.kernels.network import CROSS_ENTROPY, SQUARED, Network
from symstudy.training.engines.base import LoadedPack

__all__ = ["kernel_network"]


def kernel_network(pack: LoadedPack) -> Network | None:
    """Return the pack's dense layers with its loss, or None if the model is more than that."""
    dense = pack.model.dense
    if dense is None:
        return None
    outputs = int(dense.sizes[-1])
    return Network(
        sizes=dense.sizes,
        weights=dense.weights,
        biases=dense.biases,
        codes=dense.codes,
        loss=CROSS_ENTROPY if pack.train.loss == "cross_entropy" else SQUARED,
        loss_scale=1.0 / outputs if pack.train.loss == "mse" else 1.0,
    )
