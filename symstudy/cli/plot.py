"""The command that draws: figures of any columns by kind, and those of claims."""

from typing import Annotated, Any, final

import typer
from typer.core import TyperGroup

from symstudy.cli.claims import evaluate_all
from symstudy.cli.completion import complete_column
from symstudy.cli.options import Claims, Json, ProjectFolder, ResultsPath
from symstudy.cli.output import note, print_json, say
from symstudy.cli.plot_options import (
    Average,
    By,
    Color,
    Facet,
    Fit,
    Formats,
    HoldOut,
    Output,
    PairMeasure,
    PairWhere,
    Swept,
    Where,
    Width,
    X,
    Y,
    keep,
    words_of,
)

__all__ = ["add_commands"]

CLAIMS = "claims"
"""What is drawn without a kind."""


@final
class PlotGroup(TyperGroup):
    """Kinds of figures; what names no kind is about claims."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the kind of the figures of claims before arguments that name none.

        Where Tab asks what may come first nothing is put: it may be a kind or results.
        """
        is_first = not args and ctx.resilient_parsing
        if not is_first and (not args or args[0] not in {*self.commands, *ctx.help_option_names}):
            args = [CLAIMS, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the kinds, and what the figures of claims begin with: results."""
        claims = self.commands[CLAIMS]
        first = next(each for each in claims.params if each.name == "results")
        own = claims.make_context(CLAIMS, [], parent=ctx, resilient_parsing=True)
        return [*super().shell_complete(ctx, incomplete), *first.shell_complete(own, incomplete)]


def add_commands(app: typer.Typer) -> None:
    """Add the command with its kinds to `app`."""
    kinds = typer.Typer(
        cls=PlotGroup,
        rich_markup_mode="markdown",
        help=(
            "Draw figures of any columns of results, by kind; those of the claims without a kind."
            "\n\n"
            "A mean is over seeds alone: where another axis varies too, name it with --by, fix it "
            "with --where, or average over it with --average. Each picture lies beside the CSV "
            "that was drawn and a JSON of its queries, the rows' fingerprint and the version.\n\n"
            "Examples: `symstudy plot results`; `symstudy plot scaling results --x width --y "
            "test_loss --by gamma`"
        ),
    )
    kinds.command(CLAIMS)(draw_claims)
    for draw in (scaling, curves, grid, seeds, heatmap, importance, parallel, pairs):
        kinds.command(draw.__name__)(draw)
    app.add_typer(kinds, name="plot", rich_help_panel="Results")


def draw_claims(
    results: ResultsPath = "results",
    names: Claims = None,
    project: ProjectFolder = None,
    width: Width = None,
    formats: Formats = None,
    as_json: Json = False,
) -> None:
    """Draw the figure of each claim; of a study without claims what is swept against its measures.

    Examples: `symstudy plot results`; `symstudy plot results width_saturation --width 89mm
    --format pdf`
    """
    from symstudy.findings.default_figures import draw_defaults, has_claims
    from symstudy.findings.evaluate import draw_claim
    from symstudy.plots.page import parse_width
    from symstudy.plots.saving import FORMATS, parse_formats
    from symstudy.store import find_studies

    wanted, width_mm = parse_formats(formats), parse_width(width)
    paths: list[str] = []
    evaluations = evaluate_all(results, names, project, needs_claims=False)
    for folder, item in evaluations.found:
        made = draw_claim(item, folder, formats=wanted, width_mm=width_mm)
        if not made:
            note(f"{item.claim.name} on {item.study}: untested, nothing to draw")
        paths.extend(made)
    for folder in find_studies([results]) if not names else ():
        if not has_claims(folder):
            made = draw_defaults(folder, formats=wanted, width_mm=width_mm)
            if not made:
                note(f"{folder.name}: nothing is swept, or nothing is done: nothing to draw")
            paths.extend(made)
    if as_json:
        print_json(paths)
    for path in paths if not as_json else ():
        if path.rsplit(".", 1)[-1] in FORMATS:
            say(path)
    evaluations.end()


def scaling(
    x: X,
    y: Y,
    results: ResultsPath = "results",
    by: By = None,
    average: Average = None,
    where: Where = "",
    fit: Fit = None,
    hold_out: HoldOut = 1,
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw a value against an axis on logarithmic axes, with the law it follows and residuals.

    Means over seeds with t intervals; the exponent with its interval; the largest places predicted
    from the others; rival forms by BIC. `symstudy fit` prints the numbers.

    Example: `symstudy plot scaling results --x width --y test_loss --by gamma --fit power+floor`
    """
    from symstudy.store import open_store

    plots = open_store(results).plot
    made = plots.scaling(
        x=x, y=y, by=words_of(by), average=words_of(average), where=where, fit=fit,
        hold_out=hold_out, width=width,
    )  # fmt: skip
    keep(made, results, formats, output, as_json=as_json)


def curves(
    y: Y,
    results: ResultsPath = "results",
    x: Annotated[
        str,
        typer.Option(
            "--x",
            metavar="COLUMN",
            autocompletion=complete_column,
            help="Column along the horizontal axis.",
        ),
    ] = "step",
    by: By = None,
    average: Average = None,
    where: Where = "",
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw means over seeds along training, with bands of 95 %.

    Example: `symstudy plot curves results --y test_loss --by width --where "gamma = 0"`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.curves(
        x=x, y=y, by=words_of(by), average=words_of(average), where=where, width=width
    )
    keep(made, results, formats, output, as_json=as_json)


def grid(
    x: X,
    y: Y,
    facet: Facet,
    results: ResultsPath = "results",
    by: By = None,
    average: Average = None,
    where: Where = "",
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw small multiples: a panel for each value of other columns, all with the same axes.

    Example: `symstudy plot grid results --x width --y test_loss --facet depth --by gamma`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.grid(
        x=x, y=y, facet=words_of(facet), by=words_of(by), average=words_of(average), where=where,
        width=width,
    )  # fmt: skip
    keep(made, results, formats, output, as_json=as_json)


def seeds(
    x: X,
    y: Y,
    results: ResultsPath = "results",
    by: By = None,
    where: Where = "",
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw the line of each seed, and the mean over them.

    Example: `symstudy plot seeds results --x step --y test_loss --by width --where "gamma = 0"`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.seeds(x=x, y=y, by=words_of(by), where=where, width=width)
    keep(made, results, formats, output, as_json=as_json)


def heatmap(
    x: X,
    y: Annotated[
        str,
        typer.Option(
            "--y",
            metavar="COLUMN",
            autocompletion=complete_column,
            help="Column along the vertical axis.",
        ),
    ],
    color: Color,
    results: ResultsPath = "results",
    average: Average = None,
    where: Where = "",
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw a value over two axes; fields where runs failed or are missing are hatched.

    Example: `symstudy plot heatmap results --x width --y gamma --color test_loss`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.heatmap(
        x=x, y=y, color=color, average=words_of(average), where=where, width=width
    )
    keep(made, results, formats, output, as_json=as_json)


def importance(
    y: Y,
    results: ResultsPath = "results",
    x: Swept = None,
    where: Where = "",
    best: Annotated[
        str,
        typer.Option("--best", metavar="lowest|highest", help="Which values of --y are the best."),
    ] = "lowest",
    quantile: Annotated[
        float, typer.Option("--quantile", metavar="SHARE", help="Share of runs that are the best.")
    ] = 0.1,
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw how much each hyperparameter matters for a value (PED-ANOVA), and what chance gives.

    Example: `symstudy plot importance results --y test_accuracy --best highest`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.importance(
        y=y, x=words_of(x), where=where, best=best, quantile=quantile, width=width
    )
    keep(made, results, formats, output, as_json=as_json)


def parallel(
    color: Color,
    results: ResultsPath = "results",
    x: Swept = None,
    where: Where = "",
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw a line a cell over all swept hyperparameters, coloured by a value.

    Example: `symstudy plot parallel results --color test_loss`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.parallel(color=color, x=words_of(x), where=where, width=width)
    keep(made, results, formats, output, as_json=as_json)


def pairs(
    results: ResultsPath = "results",
    y: PairMeasure = None,
    where: PairWhere = "",
    width: Width = None,
    formats: Formats = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw a measure of pairs of runs by layer, against what permuted samples give.

    It takes the pairs that a study with [pairs] has compared.

    Example: `symstudy plot pairs results/twins --y cka`
    """
    from symstudy.store import open_store

    made = open_store(results).plot.pairs(y=y, where=where, width=width)
    keep(made, results, formats, output, as_json=as_json)
