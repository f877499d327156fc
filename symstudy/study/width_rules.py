"""What is wrong with optimisers whose learning rates muP is to scale with the width."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from symstudy.errors import Mistake

if TYPE_CHECKING:
    from symstudy.study.cell import Cell

__all__ = ["wrong_width_rules"]


def wrong_width_rules(cells: Sequence["Cell"], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each optimiser that has no width rule where a model is in muP.

    Args:
        cells: Of the study.
        lines: Line of each dotted key.
    """
    scaled = {cell.train.optimizer: cell.train for cell in cells if cell.model.is_width_scaled}
    for optimizer, train in scaled.items():
        if optimizer.no_width_rule:
            what = (
                "must have a learning rate that goes with the width where model.parametrization = "
                f"'mup', but got {optimizer.kind!r}, which {optimizer.no_width_rule}. Type "
                "train.optimizer=adam or model.parametrization=standard"
            )
            yield train.where(lines, "optimizer", what)
