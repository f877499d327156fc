"""The layout of a user's own module: declared, or derived from what it does."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from symstudy.errors import ModelError
from symstudy.layout import Block, Layout
from symstudy.symmetry.derivation import Capture, derive

__all__ = ["FoundLayout", "find_layout", "flat_layout"]


class FoundLayout(NamedTuple):
    """The layout of a module.

    Attributes:
        layout: Over its trained parameters, in their own order.
        captures: Where the activations of its groups are, if it does not return them.
        reason: Why there is none but the parameters themselves; empty if there is one.
    """

    layout: Layout
    captures: tuple[Capture, ...] = ()
    reason: str = ""

    def described(self) -> str:
        """Return what is measured in hidden layers, or why nothing is."""
        if self.reason:
            return f"nothing, since no layout could be derived: {self.reason}"
        groups, attention = len(self.layout.groups), len(self.layout.attention)
        if not groups + attention:
            return "nothing: no neurons or heads were found (symstudy symmetries says why)"
        return f"{groups} groups of neurons, {attention} attention layers"


def find_layout(
    module: nn.Module, parameters: Mapping[str, nn.Parameter], inputs: Tensor, name: str
) -> FoundLayout:
    """Return the layout that `symstudy_layout()` of the module declares, or else a derived one.

    A module that cannot be evaluated in float64 has none but its parameters, and says why.

    Args:
        module: In evaluation mode; left as it is.
        parameters: Its trained parameters, in their own order.
        inputs: A batch of example inputs.
        name: Of the module, for messages.

    Raises:
        ModelError: If the declared layout contradicts itself or the parameters.
    """
    method = getattr(module, "symstudy_layout", None)
    if not callable(method):
        try:
            found = derive(module, inputs, apart=False)
        except ModelError as error:
            return FoundLayout(flat_layout(parameters), reason=str(error))
        return FoundLayout(found.layout, found.captures)
    try:
        declared: Layout = method()
    except AssertionError as error:
        raise ModelError(
            f"symstudy_layout() of {name} must be consistent, but this does not hold: {error}."
        ) from error
    check_blocks(declared, [tuple(each.shape) for each in parameters.values()], name)
    return FoundLayout(declared)


def check_blocks(declared: Layout, shapes: Sequence[tuple[int, ...]], name: str) -> None:
    """Check that the blocks of a declared layout are the parameters.

    Raises:
        ModelError: If they are not.
    """
    if [block.shape for block in declared.blocks] != list(shapes):
        raise ModelError(
            f"symstudy_layout() of {name} must list the trained parameters in their own order, "
            f"but got shapes {[block.shape for block in declared.blocks]} for {list(shapes)}."
        )


def flat_layout(parameters: Mapping[str, nn.Parameter]) -> Layout:
    """Return the layout of `parameters` with no neurons declared."""
    blocks: list[Block] = []
    for name, parameter in parameters.items():
        shape = tuple(parameter.shape)
        blocks.append(
            Block(
                name=name,
                shape=shape,
                offset=blocks[-1].stop if blocks else 0,
                axes=tuple(f"{name}.{axis}" for axis in range(len(shape))),
                role="weight" if len(shape) > 1 else "bias",
                fan_in=max(1, parameter[0].numel()) if shape else 1,
            )
        )
    return Layout(blocks=tuple(blocks))
