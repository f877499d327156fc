"""Figures of any columns of results: what `Store.plot` gives."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, final

from symstudy.plots.curves import plot_curves, plot_seeds
from symstudy.plots.figures import theme
from symstudy.plots.grid import plot_grid
from symstudy.plots.heatmap import plot_heatmap
from symstudy.plots.importance import plot_importance
from symstudy.plots.laws import GroupLaw, fit_lines, read_form
from symstudy.plots.left_out import LeftOut
from symstudy.plots.page import page, parse_width
from symstudy.plots.pairs import plot_pairs
from symstudy.plots.parallel import plot_parallel
from symstudy.plots.plot import Plot
from symstudy.plots.points import Question, read_points, select
from symstudy.plots.scaling import HOLD_OUT, plot_scaling
from symstudy.plots.source import Source

__all__ = ["Fitted", "Plots"]

STEP = "step"
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

    @staticmethod
    def page(width: str | None) -> AbstractContextManager[None]:
        """Draw in the house style, as wide as asked for, or as what draws now."""
        return theme(parse_width(width) if width is not None else page().width_mm)

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
        with self.page(width):
            return plot_scaling(
                self.source, question(x, y, by, average, where), fit=fit, hold_out=hold_out
            )

    def curves(
        self,
        *,
        y: str,
        x: str = STEP,
        by: Names = (),
        average: Names = (),
        where: str = "",
        width: str | None = None,
    ) -> Plot:
        """Draw means over seeds of `y` along training, with bands of 95 %.

        Args:
            y: Column of numbers of `history` or `layers`.
            x: Column of the horizontal axis.
            by: Columns whose values make a line each, at most two.
            average: Columns that the mean is taken over, besides seeds.
            where: Condition in SQL on the rows that count.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such column.
            QueryError: If a mean would be over other axes than seeds, or there are no runs.
        """
        with self.page(width):
            return plot_curves(self.source, question(x, y, by, average, where))

    def seeds(
        self,
        *,
        x: str,
        y: str,
        by: Names = (),
        where: str = "",
        width: str | None = None,
    ) -> Plot:
        """Draw the line of each seed of `y` against `x`, and the mean over them.

        Args:
            x: Column of the horizontal axis.
            y: Column of numbers.
            by: Columns whose values make a line each, at most two.
            where: Condition in SQL on the rows that count.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such column.
            QueryError: If a line would be of several cells, there are no runs, or too many lines.
        """
        with self.page(width):
            return plot_seeds(self.source, question(x, y, by, (), where))

    def grid(
        self,
        *,
        x: str,
        y: str,
        facet: Names,
        by: Names = (),
        average: Names = (),
        where: str = "",
        width: str | None = None,
    ) -> Plot:
        """Draw `y` against `x` in a panel for each value of the columns in `facet`.

        Args:
            x: Column of the horizontal axis.
            y: Column of numbers.
            facet: Columns whose values make a panel each.
            by: Columns whose values make a line each, at most two.
            average: Columns that the mean is taken over, besides seeds.
            where: Condition in SQL on the rows that count.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such column.
            QueryError: If a mean would be over other axes than seeds, or there are too many panels.
        """
        with self.page(width):
            return plot_grid(self.source, question(x, y, by, average, where), listed(facet))

    def heatmap(
        self,
        *,
        x: str,
        y: str,
        color: str,
        average: Names = (),
        where: str = "",
        width: str | None = None,
    ) -> Plot:
        """Draw `color` over two axes; fields where runs failed or are missing are hatched.

        Args:
            x: Column of the horizontal axis.
            y: Column of the vertical axis.
            color: Column of numbers.
            average: Columns that the mean is taken over, besides seeds.
            where: Condition in SQL on the rows that count.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such column.
            QueryError: If a mean would be over other axes than seeds, there are no runs, or too
                many fields.
        """
        with self.page(width):
            return plot_heatmap(self.source, question(x, color, (), average, where), y)

    def importance(
        self,
        *,
        y: str,
        x: Names = (),
        where: str = "",
        best: str = "lowest",
        quantile: float = 0.1,
        width: str | None = None,
    ) -> Plot:
        """Draw how much each hyperparameter matters for whether a run is among the best.

        Args:
            y: Column of numbers.
            x: Hyperparameters; what is swept if empty.
            where: Condition in SQL on the rows that count.
            best: Whether the `lowest` values are the best, or the `highest`.
            quantile: Share of the runs that are the best.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such column.
            QueryError: If nothing varies, or there are no runs.
        """
        with self.page(width):
            return plot_importance(
                self.source, y, listed(x), where=where, best=best, quantile=quantile
            )

    def parallel(
        self, *, color: str, x: Names = (), where: str = "", width: str | None = None
    ) -> Plot:
        """Draw a line a cell over hyperparameters, coloured by the mean of `color` over seeds.

        Args:
            color: Column of numbers.
            x: Hyperparameters; what is swept if empty.
            where: Condition in SQL on the rows that count.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such column.
            QueryError: If fewer than two hyperparameters vary, or there are too many cells.
        """
        with self.page(width):
            return plot_parallel(self.source, color, listed(x), where=where)

    def pairs(self, *, y: str | None = None, where: str = "", width: str | None = None) -> Plot:
        """Draw a measure of pairs of runs by layer, against what permuted samples give.

        Args:
            y: Measure of pairs, such as `cka`; the first that was recorded if None.
            where: Condition in SQL on the view `pairs`.
            width: Width in print, such as `89mm`.

        Raises:
            UnknownNameError: If there is no such measure.
            QueryError: If no pairs were compared, or they are of too many kinds.
        """
        with self.page(width):
            return plot_pairs(self.source, y, where=where)

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
