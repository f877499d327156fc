"""Width rules of the maximal update parametrisation (muP): initial weights and learning rates.

The layers of a network of width n are compared with those of a network of base width. A block of
parameters has a inputs and b outputs for each that it has there: a hidden weight a = b = r with
r = width / base width, a weight that reads the data a = 1 and b = r, one that makes the outputs
a = r and b = 1, a bias of a hidden layer a = 1 and b = r. With these rules the activations of every
layer change by a step as much at one width as at another: the best learning rate carries over.

At the base width all rules are those of the standard parametrisation, to the bit.

References:
    Yang et al. 2022, "Tensor Programs V", arXiv:2203.03466: Table 3. Its factors are taken relative
    to the base width, and the output layer has no multiplier but the smaller initial weights.
"""

from typing import Literal, NamedTuple

from symstudy.layout import Block, Layout

__all__ = ["Growth", "WidthRule", "growth_of", "initial_deviations", "rate_factors"]

WidthRule = Literal["proportional", "normalised", "orthogonalised", ""]
"""How an optimiser's step goes with the gradient: in proportion (sgd); each parameter by about the
rate, whatever the size of the gradient (adam); each matrix by its own rule (muon); or not known."""


class Growth(NamedTuple):
    """By how much a block has more inputs and outputs than in the network of base width.

    Attributes:
        inputs: Inputs that a unit sums over, over those in the base network; 1 for a bias.
        outputs: Units, over those in the base network.
    """

    inputs: float = 1.0
    outputs: float = 1.0


def growth_of(layout: Layout) -> tuple[Growth, ...]:
    """Return the growth of each block; 1 in the standard parametrisation."""
    if not layout.base:
        return (Growth(),) * len(layout.blocks)
    return tuple(map(grown, layout.blocks, layout.base))


def grown(block: Block, base: Block) -> Growth:
    """Return the growth of `block` from `base`."""
    if block.role == "bias" or block.is_lookup:
        return Growth(1.0, block.size / base.size)
    # One division of whole numbers: where inputs and outputs grow alike, the factors are equal.
    outputs = (block.size * base.fan_in) / (base.size * block.fan_in)
    return Growth(block.fan_in / base.fan_in, outputs)


def initial_deviations(layout: Layout) -> tuple[float, ...]:
    """Return the standard deviation of the initial numbers of each block, for a scale of 1.

    It is 1 / sqrt(fan-in). In muP that of weights with growing inputs and a fixed number of outputs
    is smaller by sqrt(a), so that its variance falls as 1 / fan-in^2; that of a lookup does not
    depend on the width. Biases start at 0; theirs says how far `syre` may move them.
    """
    found = []
    places = zip(layout.blocks, layout.base or layout.blocks, growth_of(layout), strict=True)
    for block, base, growth in places:
        deviation = (base if block.is_lookup else block).fan_in ** -0.5
        if growth.outputs == 1.0:
            deviation *= growth.inputs**-0.5
        found.append(deviation)
    return tuple(found)


def rate_factors(layout: Layout, rule: WidthRule) -> tuple[float, ...]:
    """Return the factor on the learning rate of each block; 1 in the standard parametrisation.

    A step of sgd changes activations as much at every width with b / a: r for what reads the data,
    and for biases; 1 for hidden weights; 1 / r for the output. A step whose size is not that of the
    gradient does with 1 / a.

    Args:
        layout: Blocks, with those of the base network.
        rule: How the optimiser's step goes with the gradient.
    """
    if rule == "proportional":
        return tuple(growth.outputs / growth.inputs for growth in growth_of(layout))
    assert rule == "normalised", f"no factors of single blocks for the rule {rule!r}"
    return tuple(1.0 / growth.inputs for growth in growth_of(layout))
