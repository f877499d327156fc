"""A pack's model and loss as the compiled kernels know them."""

from symstudy.kernels.network import Network
from symstudy.training.engines.base import LoadedPack

__all__ = ["kernel_network"]


def kernel_network(pack: LoadedPack) -> Network | None:
    """Return the pack's dense layers with its loss, or None if the model is more than that."""
    dense, loss = pack.model.dense, pack.train.loss
    if dense is None or loss.kernel_code is None:
        return None
    outputs = int(dense.sizes[-1])
    return Network(
        sizes=dense.sizes,
        weights=dense.weights,
        biases=dense.biases,
        codes=dense.codes,
        loss=loss.kernel_code,
        loss_scale=1.0 / loss.divisor(outputs),
        smoothing=float(loss.value("label_smoothing", 0.0)),
    )
