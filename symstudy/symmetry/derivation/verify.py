"""Random group elements acting on a module's parameters: what they leave as it is, to rounding."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from symstudy.errors import ModelError
from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.symmetry.base import AbstractSymmetry
from symstudy.symmetry.derivation.function import ModuleFunction
from symstudy.symmetry.registry import build_symmetry

__all__ = ["TOLERANCE", "Verdict", "Verifier"]

TOLERANCE = 1e-9
"""Largest change of the outputs, relative to the largest output, that rounding makes in float64."""
MOVED = 1e-3
"""Least change of the parameters acted on, relative to the largest of them."""
SEEN = 1e-9
"""Least derivative by a parameter that has an effect, relative to the largest."""
MOST_TRIES = 20
"""Elements that are drawn until one moves the parameters: a permutation of two may not."""
DRAWS = 2
"""How many parameters, inputs and group elements each symmetry is tried on."""


class Verdict(NamedTuple):
    """Whether a symmetry that was tried holds, and by how much it misses.

    Attributes:
        error: Largest relative change of what it should preserve.
        error_without_epsilon: The same where normalisations add nothing to a variance; NaN where
            that was not asked for.
        reason: Why it is no symmetry, or nothing could be said; empty if it is one.
    """

    error: float
    error_without_epsilon: float
    reason: str


class Draw(NamedTuple):
    """What a symmetry is tried on.

    Attributes:
        theta_P: Parameters.
        inputs: A batch of inputs.
    """

    theta_P: Tensor
    inputs: Tensor


class Action(NamedTuple):
    """Symmetries that act on some of the parameters.

    Attributes:
        symmetries: Built on the blocks that they act on alone.
        places: Where the numbers of these blocks are in the flat vector.
    """

    symmetries: Sequence[AbstractSymmetry]
    places: Tensor


@final
class Verifier:
    """Tries symmetries of one module."""

    def __init__(
        self, function: ModuleFunction, blocks: Sequence[Block], data: Tensor | None = None
    ) -> None:
        """Draw parameters and inputs.

        Args:
            function: The module.
            blocks: Of its layout, in order.
            data: Inputs of which the first draw takes its batch; None for random ones.
        """
        self.function = function
        self.blocks = {block.name: block for block in blocks}
        self.generator = torch.Generator().manual_seed(0)
        self.draws = [
            Draw(function.generic(self.generator), function.draw_inputs(self.generator))
            for _ in range(DRAWS)
        ]
        if data is not None:
            self.draws[0] = self.draws[0]._replace(inputs=data)
        self.known: dict[tuple[int, bool, str], list[Tensor]] = {}

    def verify(self, parts: Sequence[DeclaredSymmetry]) -> Verdict:
        """Return whether random elements of all of `parts` together are symmetries.

        Args:
            parts: Symmetries of one kind on the same blocks, such as those of each head.
        """
        action = self.action(parts)
        verdict = self.judge([action], parts[0].preserves, epsilon=True)
        if not verdict.error > TOLERANCE:
            return verdict
        # The epsilon of a normalisation breaks scaling a little.
        bare = self.judge([action], parts[0].preserves, epsilon=False)
        if bare.reason:
            return verdict
        return Verdict(verdict.error, bare.error, "")

    def verify_all(self, families: Sequence[Sequence[DeclaredSymmetry]]) -> Verdict:
        """Return whether elements of many symmetries, one after the other, change nothing.

        Normalisations are taken without their epsilon. A product of symmetries is a symmetry, so
        that one evaluation tells of them all; if it changes something, at least one is none.

        Args:
            families: Arguments of `verify` that preserve the same.
        """
        actions = [self.action(parts) for parts in families]
        return self.judge(actions, families[0][0].preserves, epsilon=False)

    def action(self, parts: Sequence[DeclaredSymmetry]) -> Action:
        """Return symmetries on the same blocks, ready to act on the parameters."""
        names = list(dict.fromkeys((*parts[0].blocks, *parts[0].partners)))
        layout = self.part_of_layout(names)
        places = torch.cat(
            [torch.arange(self.blocks[n].offset, self.blocks[n].stop) for n in names]
        )
        symmetries = [build_symmetry(layout, replace(part, layer=None)) for part in parts]
        return Action(symmetries, places)

    def part_of_layout(self, names: Sequence[str]) -> Layout:
        """Return a layout of the named blocks alone."""
        blocks: list[Block] = []
        for name in names:
            offset = blocks[-1].stop if blocks else 0
            blocks.append(replace(self.blocks[name], offset=offset))
        return Layout(blocks=tuple(blocks))

    def judge(self, actions: Sequence[Action], preserves: str, *, epsilon: bool) -> Verdict:
        """Return whether random elements, one after the other, change anything."""
        errors: list[float] = []
        for number, draw in enumerate(self.draws):
            theta_P = draw.theta_P.clone()
            for action in actions:
                moved_K = self.moved(action.symmetries, theta_P[action.places])
                if moved_K is None:
                    return Verdict(torch.nan, torch.nan, "its elements do not move the parameters")
                theta_P.index_copy_(0, action.places, moved_K)
            before = self.outputs(number, preserves, epsilon=epsilon)
            after = self.evaluate(theta_P, draw.inputs, preserves, epsilon=epsilon)
            errors.append(difference(before, after))
        # NaN, of outputs that are not finite or all 0, is passed on.
        largest = float(torch.tensor(errors).max())
        if not largest <= TOLERANCE:
            reason = f"its elements change the {preserves} by {largest:.1e} of the largest output"
            return Verdict(largest, torch.nan, reason)
        for action in actions:
            # What nothing depends on has every symmetry; a free bias is meant to be that.
            is_free = action.symmetries[0].declared.kind == "translation"
            if not is_free and not self.is_seen_P[action.places].any():
                reason = "no change of these parameters changes the outputs"
                return Verdict(largest, torch.nan, reason)
        return Verdict(largest, torch.nan, "")

    @cached_property
    def is_seen_P(self) -> Tensor:
        """Whether the outputs depend on each parameter, by the gradient of a random sum of them."""
        seen_P = torch.zeros_like(self.draws[0].theta_P)
        for draw in self.draws:
            theta_P = draw.theta_P.clone().requires_grad_()
            output = self.function.flat(theta_P, draw.inputs)
            weights = torch.randn(output.shape, generator=self.generator, dtype=output.dtype)
            try:
                (gradient,) = torch.autograd.grad((output * weights).sum(), theta_P)
            except RuntimeError as error:
                raise ModelError(
                    "the outputs of a module must be differentiable by its parameters, but the "
                    f"backward pass raised {type(error).__name__}: {error}"
                ) from error
            seen_P = torch.maximum(seen_P, gradient.abs())
        return seen_P > SEEN * seen_P.max()

    def moved(self, symmetries: Sequence[AbstractSymmetry], own_K: Tensor) -> Tensor | None:
        """Return parameters that random elements have moved; None if none of many does."""
        for _ in range(MOST_TRIES):
            moved_KP = own_K[None]
            for symmetry in symmetries:
                moved_KP = symmetry.act(symmetry.sample(1, self.generator), moved_KP)
            if float((moved_KP[0] - own_K).abs().max()) > MOVED * float(own_K.abs().max()):
                return moved_KP[0]
        return None

    def evaluate(
        self, theta_P: Tensor, inputs: Tensor, preserves: str, *, epsilon: bool
    ) -> list[Tensor]:
        """Return what is preserved at some parameters."""
        with torch.no_grad():
            found = self.function.outputs(theta_P, inputs, epsilon=epsilon)
        if preserves == "probabilities":
            return [each.softmax(dim=-1) for each in found]
        assert preserves == "function", f"what preserves {preserves} is not derived"
        return found

    def outputs(self, number: int, preserves: str, *, epsilon: bool) -> list[Tensor]:
        """Return what is to be preserved in draw `number`."""
        key = (number, epsilon, preserves)
        if key not in self.known:
            theta_P, inputs = self.draws[number]
            self.known[key] = self.evaluate(theta_P, inputs, preserves, epsilon=epsilon)
        return self.known[key]


def difference(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Return the largest difference relative to the largest number; NaN where one is not finite."""
    scale = torch.stack([each.abs().max() for each in before]).max()
    changes = [(one - other).abs().max() for one, other in zip(before, after, strict=True)]
    return float(torch.stack(changes).max() / scale)
