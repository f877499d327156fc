"""References that activations of a layer are compared with: inputs, and a closed form.

Shapes: K runs, B samples, I inputs.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

__all__ = ["References"]


class References(NamedTuple):
    """What a layer's activations may be held against, on the samples that they are of.

    Attributes:
        inputs_KBI: The inputs that the networks are given; None where they are not known.
        universal: Makes rows whose inner products are those of the closed form for deep linear
            networks under gradient noise (`symstudy.theory.universal`); None likewise.
    """

    inputs_KBI: Float[Tensor, "runs samples inputs"] | None = None
    universal: Callable[[], Float[Tensor, "runs samples inputs"]] | None = None

    @property
    def universal_KBI(self) -> Float[Tensor, "runs samples inputs"] | None:
        """The rows of the closed form."""
        return None if self.universal is None else self.universal()
