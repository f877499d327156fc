"""A module that can be built and tried, and fails as soon as it is trained."""

from typing import final

from torch import Tensor, nn

__all__ = ["FailsInTraining"]

MOST_TRIED = 8
"""Samples of a forward pass that is only tried, at most; a batch of a study has more."""


@final
class FailsInTraining(nn.Module):
    """A linear map whose forward pass raises on a batch of more than `MOST_TRIED` samples."""

    def __init__(self, input_dim: int, output_dim: int) -> None:
        """Make the map."""
        super().__init__()
        self.linear = nn.Linear(input_dim, output_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of a few samples.

        Raises:
            RuntimeError: If there are more.
        """
        if x.shape[0] > MOST_TRIED:
            raise RuntimeError("this module fails in training, as it is made to")
        output: Tensor = self.linear(x)
        return output
