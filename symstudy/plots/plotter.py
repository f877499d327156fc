"""Figures of any columns of results: what `Store.plot` gives."""

from collections.abc import Sequence
from typing import NamedTuple, final

from symstudy.plots.figures import theme
from symstudy.plots.laws import GroupLaw, fit_lines, read_form
from symstudy.plots.left_out import LeftOut
from symstudy.plots.page import parse_width
from symstudy.plots.plot import Plot
from symstudy.plots.points import Question, read_points, select
from symstudy.plots.scaling import HOLD_OUT, plot_scaling
from symstudy.plots.source import Source

__all__ = ["Fitted", "Plots"]

Names = str | Sequence[str]
"""A column or several: of a view, or a key of the study file such as `train.lr`."""


class Fitted(NamedTuple):
    """Laws that were fitted, and what they leave out.

    Attributes:
        laws: One a line.
        left_out: Runs that are not in them.
    """

    laws: tuple[GroupLaw, ...]
    left_out: LeftOut


@final
class Plots:
    """Figures of the results of a store, by kind. No claim is needed.

    Every kind takes any columns: keys of a study file, a user's own among them, measures, metrics
    that programs report, and the columns of `history` and `layers`. A mean is over seeds alone:
    where another axis varies too, it has to be named in `by` or `average`, or fixed in `where`.

    Args of the constructor: the results.

    Example:
        >>> plot = store.plot.scaling(x="width", y="test_loss", by="gamma")  # doctest: +SKIP
        >>> plot.laws[0].exponent  # doctest: +SKIP
        >>> plot.save("figures/loss.pdf")  # doctest: +SKIP
    """

    def __init__(self, source: Source) -> None:
        """See the class."""
        self.source = source

    def scaling(
        self,
        *,
        x: str,
        y: str,
        by: Names = (),
        average: Names = (),
        where: str = "",
        fit: str | None = None,
        hold_out: int = HOLD_OUT,
        width: str | None = None,
    ) -> Plot:
        """Draw `y` against `x` on logarithmic axes, with the law that it follows and its residuals.

        Args:
            x: Column of the horizontal axis.
            y: Column of numbers.
            by: Columns whose values make a line each, at most two.
            average: Columns that the mean is taken over, besides seeds.
            where: Condition in SQL on the rows that count.
            fit: `power`, `power+floor`, `broken` or `none`; a power law along numbers if None.
            hold_out: How many of the largest places are predicted from the others.
            width: Width in print, such as `89mm`.

        Returns:
            The figure, and in `laws` the fitted law of each line.

        Raises:
            UnknownNameError: If there is no such column or form.
            QueryError: If a mean would be over other axes than seeds, or there are no runs.
        """
        with theme(parse_width(width)):
            return plot_scaling(
                self.source, question(x, y, by, average, where), fit=fit, hold_out=hold_out
            )

    def fit(
        self,
        *,
        x: str,
        y: str,
        by: Names = (),
        average: Names = (),
        where: str = "",
        form: str = "power",
        hold_out: int = HOLD_OUT,
    ) -> Fitted:
        """Fit the law that `scaling` draws, without a figure.

        Args:
            x: Column that is scaled.
            y: Column of numbers.
            by: Columns whose values have a law each.
            average: Columns that the mean is taken over, besides seeds.
            where: Condition in SQL on the rows that count.
            form: `power`, `power+floor` or `broken`.
            hold_out: How many of the largest places are predicted from the others.

        Returns:
            The law of each line, and what was left out.

        Raises:
            UnknownNameError: If there is no such column or form.
            QueryError: If a mean would be over other axes than seeds, or there are no runs.
        """
        selection = select(self.source, question(x, y, by, average, where))
        points = read_points(self.source, selection)
        laws = fit_lines(self.source, points, read_form(form), hold_out)
        return Fitted(laws, points.left_out)


def question(x: str, y: str, by: Names, average: Names, where: str) -> Question:
    """Return what is asked of a figure."""
    return Question(x=x, y=y, by=listed(by), average=listed(average), where=where)


def listed(names: Names) -> tuple[str, ...]:
    """Return names, of which there may be one."""
    return (names,) if isinstance(names, str) else tuple(names)
