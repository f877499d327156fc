"""Keys of models whose initial weights and learning rates may follow the width rules of muP."""

from collections.abc import Mapping
from typing import Annotated, Literal

from annotated_types import Ge

from symstudy.components import component
from symstudy.models.config import AbstractModelConfig

__all__ = ["AbstractWidthScaled"]


@component
class AbstractWidthScaled(AbstractModelConfig):
    """A model in the standard or in the maximal update parametrisation (muP).

    References:
        Yang et al. 2022, arXiv:2203.03466; the rules are in `symstudy.width_rules`.
    """

    parametrization: Literal["standard", "mup"] = "standard"
    """How initial weights and learning rates go with the width: mup is the maximal update
    parametrisation, in which the best train.lr is the same at every width; at base_width it is the
    standard one."""
    base_width: Annotated[int, Ge(1)] | None = None
    """Width at which mup takes train.lr and the initial weights as they are."""

    @property
    def is_width_scaled(self) -> bool:
        """Whether it is in muP."""
        return self.parametrization == "mup"

    def check_base(self, base: Mapping[str, int | None]) -> None:
        """Check that muP knows its base network, and that weights are plain numbers there.

        Args:
            base: The keys of the base network, with their values.

        Raises:
            ValueError: If not.
        """
        if not self.is_width_scaled:
            return
        missing = next((key for key, value in base.items() if value is None), "")
        if missing:
            size = missing.removeprefix("base_")
            raise ValueError(
                f"`model.{missing}` must be given where model.parametrization = 'mup', but got "
                f"none. Type model.{missing}={getattr(self, size)} if train.lr is that of "
                f"networks of this {size}"
            )
        if self.reparametrise != "none":
            raise ValueError(
                "`model.reparametrise` must be 'none' where model.parametrization = 'mup', whose "
                f"rules are not those of factors, but got {self.reparametrise!r}"
            )
