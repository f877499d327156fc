"""Random group elements acting on a module's parameters: what they leave as it is, to rounding."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, final

import torch
from torch import Tensor

from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.symmetry.base import AbstractSymmetry
from symstudy.symmetry.derivation.function import ModuleFunction
from symstudy.symmetry.registry import build_symmetry

__all__ = ["TOLERANCE", "Verdict", "Verifier"]

TOLERANCE = 1e-9
"""Largest change of the outputs, relative to the largest output, that rounding makes in float64."""
MOVED = 1e-3
"""Least change of the parameters acted on, relative to the largest of them."""
SEEN = 1e-6
"""Least relative change of the outputs where the same parameters change at random instead."""
MOST_TRIES = 20
"""Elements that are drawn until one moves the parameters: a permutation of two may not."""
DRAWS = 2
"""How many parameters, inputs and group elements each symmetry is tried on."""


class Verdict(NamedTuple):
    """What became of a symmetry that was tried.

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
        names = [*parts[0].blocks, *parts[0].partners]
        layout = self.part_of_layout(names)
        places = torch.cat(
            [torch.arange(self.blocks[n].offset, self.blocks[n].stop) for n in names]
        )
        symmetries = [build_symmetry(layout, replace(part, layer=None)) for part in parts]
        verdict = self.judge(symmetries, places, epsilon=True)
        if not verdict.error > TOLERANCE:
            return verdict
        # The epsilon of a normalisation breaks scaling a little.
        bare = self.judge(symmetries, places, epsilon=False)
        if bare.reason:
            return verdict
        return Verdict(verdict.error, bare.error, "")

    def part_of_layout(self, names: Sequence[str]) -> Layout:
        """Return a layout of the named blocks alone."""
        blocks: list[Block] = []
        for name in names:
            offset = blocks[-1].stop if blocks else 0
            blocks.append(replace(self.blocks[name], offset=offset))
        return Layout(blocks=tuple(blocks))

    def judge(
        self, symmetries: Sequence[AbstractSymmetry], places: Tensor, *, epsilon: bool
    ) -> Verdict:
        """Return whether the symmetries, acting on the parameters at `places`, change anything."""
        preserves = symmetries[0].declared.preserves
        errors: list[float] = []
        shaken: list[float] = []
        for number, (theta_P, inputs) in enumerate(self.draws):
            before = self.outputs(number, theta_P, preserves, epsilon=epsilon)
            own_K = theta_P[places]
            moved_K = self.moved(symmetries, own_K)
            if moved_K is None:
                return Verdict(torch.nan, torch.nan, "its elements do not move the parameters")
            noise_K = torch.randn(len(own_K), generator=self.generator, dtype=torch.float64)
            shaken_K = own_K + (moved_K - own_K).std(correction=0) * noise_K
            for values_K, found in ((moved_K, errors), (shaken_K, shaken)):
                after = self.evaluate(theta_P, places, values_K, inputs, preserves, epsilon=epsilon)
                found.append(difference(before, after))
        # NaN, of outputs that are not finite or all 0, is passed on.
        largest, seen = float(torch.tensor(errors).max()), max(shaken)
        if not largest <= TOLERANCE:
            reason = f"its elements change the {preserves} by {largest:.1e} of the largest output"
            return Verdict(largest, torch.nan, reason)
        is_free = symmetries[0].declared.kind == "translation"
        if not seen >= SEEN and not is_free:
            return Verdict(largest, torch.nan, "no change of these parameters changes the outputs")
        return Verdict(largest, torch.nan, "")

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
        self,
        theta_P: Tensor,
        places: Tensor,
        values: Tensor,
        inputs: Tensor,
        preserves: str,
        *,
        epsilon: bool,
    ) -> list[Tensor]:
        """Return what is preserved at parameters of which those at `places` are others."""
        theta_P = theta_P.index_copy(0, places, values)
        with torch.no_grad():
            found = self.function.outputs(theta_P, inputs, epsilon=epsilon)
        if preserves == "probabilities":
            return [each.softmax(dim=-1) for each in found]
        assert preserves == "function", f"what preserves {preserves} is not derived"
        return found

    def outputs(
        self, number: int, theta_P: Tensor, preserves: str, *, epsilon: bool
    ) -> list[Tensor]:
        """Return what is to be preserved in draw `number`."""
        key = (number, epsilon, preserves)
        if key not in self.known:
            inputs = self.draws[number].inputs
            none = torch.zeros(0, dtype=torch.int64)
            self.known[key] = self.evaluate(
                theta_P, none, theta_P[:0], inputs, preserves, epsilon=epsilon
            )
        return self.known[key]


def difference(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Return the largest difference relative to the largest number; NaN where one is not finite."""
    scale = torch.stack([each.abs().max() for each in before]).max()
    changes = [(one - other).abs().max() for one, other in zip(before, after, strict=True)]
    return float(torch.stack(changes).max() / scale)
