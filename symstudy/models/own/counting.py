"""Work and memory of a user's own module, counted in a forward pass of a few samples."""

import math
from collections.abc import Callable, Sequence
from typing import Any, final

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from symstudy.components import DataShape, NetworkSize
from symstudy.layout import Layout
from symstudy.models.own.draws import seeded_by
from symstudy.models.own.inspection import trial_inputs
from symstudy.models.own.passes import LaneModule

__all__ = ["count_module"]

SAMPLES = 2
DENSE_CALLS = 11
"""Torch operations of a forward pass of a network of two hidden dense layers."""


@final
class CallCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is not typed
    """Counts the operations that reach torch's kernels."""

    def __init__(self) -> None:
        """Begin at 0."""
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is not typed
        self.calls = 0

    def __torch_dispatch__(  # torch's name for it
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Count an operation and pass it on."""
        del types
        self.calls += 1
        return func(*args, **(kwargs or {}))


@final
class RecurrentWork:
    """Counts the multiplications of recurrent layers, which torch makes in one operation.

    Attributes:
        products: Multiplications so far: a layer's weights, for each sample and place.
    """

    def __init__(self, module: nn.Module) -> None:
        """Count those of the recurrent layers in `module` from now on."""
        self.products = 0
        layers = [child for child in module.modules() if isinstance(child, nn.RNNBase)]
        self.hooks = [layer.register_forward_hook(self.count) for layer in layers]

    def count(self, layer: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Add what `layer` makes of `inputs`."""
        del outputs
        places = inputs[0].shape[:-1] if isinstance(inputs[0], Tensor) else inputs[0].data.shape[:1]
        weights = sum(each.numel() for each in layer.parameters() if each.ndim > 1)
        self.products += math.prod(places) * weights

    def remove(self) -> None:
        """Count no more."""
        for hook in self.hooks:
            hook.remove()


def count_module(
    module: nn.Module, data: DataShape, layout: Layout, *, can_batch: bool
) -> NetworkSize:
    """Return the size of `module`, which is left as it was.

    Multiplications are those of products, convolutions and recurrent layers, at least one a
    parameter. What a sample leaves for the backward pass is counted tensor by tensor.

    Args:
        module: In training mode.
        data: Shape of the data.
        layout: Of its trained parameters.
        can_batch: Whether its runs can go through in one call.
    """
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    own = {each.data_ptr() for each in held.values()}
    saved: dict[tuple[int, int], int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            saved[tensor.data_ptr(), tensor.numel()] = tensor.numel()
        return tensor

    lane = LaneModule(module)
    recurrent = RecurrentWork(module)
    counter, work = CallCounter(), FlopCounterMode(display=False)
    x = trial_inputs(data, SAMPLES)
    buffers = {key: each.clone() for key, each in module.named_buffers()}
    with seeded_by(0):
        lane.put(buffers)
        # The result is held, so that no two tensors that are saved lie at one address.
        with work, counter, saved_tensors_hooks(keep, lambda tensor: tensor):
            result = module(x)
        del result
        recurrent.remove()
        lane.put({key: held[key] for key in buffers})
    products = (work.get_total_flops() // 2 + recurrent.products) // SAMPLES
    return NetworkSize(
        parameters=layout.size,
        products=max(products, layout.size),
        # The estimate takes three times this number, for what the backward pass makes beside.
        activations=-(-sum(saved.values()) // (2 * SAMPLES)),
        hidden=tuple(group.size for group in layout.groups),
        stages=max(1, round(counter.calls / DENSE_CALLS)),
        calls=counter.calls,
        can_batch=can_batch,
    )
