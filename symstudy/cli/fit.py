"""The command that prints scaling laws: what `symstudy plot scaling` draws, as numbers."""

import math
from typing import Annotated, Any

import typer

from symstudy.cli.options import Json, ResultsPath
from symstudy.cli.output import note, print_json, print_table
from symstudy.cli.plot_options import Average, By, HoldOut, Where, X, Y, words_of

__all__ = ["add_commands"]

Forms = Annotated[
    str,
    typer.Option(
        "--form",
        metavar="power|power+floor|broken",
        help="Form of the law; the BIC of the others is printed beside it.",
    ),
]
FIXED = ("form", "parameter", "value", "low", "high")


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Results")(fit)


def fit(
    x: X,
    y: Y,
    results: ResultsPath = "results",
    by: By = None,
    average: Average = None,
    where: Where = "",
    form: Forms = "power",
    hold_out: HoldOut = 1,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to means over seeds, and print its parameters with their intervals.

    A row a parameter, unrounded with --json; then how many starts of the optimiser agreed, how far
    the largest places are from what the others predict, and the BIC of each form.

    Example: `symstudy fit results --x width --y test_loss --by gamma --form power+floor --json`
    """
    from symstudy.errors import unknown_name
    from symstudy.statistics.scaling_forms import FORMS
    from symstudy.store import open_store

    if form not in FORMS:
        raise unknown_name("--form", form, tuple(FORMS))
    laws, left_out = open_store(results).plot.fit(
        x=x, y=y, by=words_of(by), average=words_of(average), where=where, form=form,
        hold_out=hold_out,
    )  # fmt: skip
    if as_json:
        print_json([law.to_json() for law in laws])
    else:
        print_laws(laws)
    if left_out.words:
        note(f"left out: {left_out.words}")


def print_laws(laws: Any) -> None:
    """Print a row a parameter of each line, and notes of what they are worth."""
    groups = list(dict.fromkeys(name for law in laws for name in law.group))
    rows = []
    for law in laws:
        told = [law.group[name] for name in groups]
        if law.fit is None:
            note(f"{lead(law)}no law: {law.reason}")
            continue
        for name, value in law.fit.law.parameters.items():
            interval = law.fit.intervals[name]
            ends = [end if math.isfinite(end) else None for end in (interval.low, interval.high)]
            if not math.isfinite(interval.high):
                ends = [None, None]
            rows.append([*told, law.fit.law.form.name, name, value, *ends])
    if rows:
        print_table((*groups, *FIXED), rows)
    for law in laws:
        if law.fit is not None:
            for sentence in sentences(law):
                note(f"{lead(law)}{sentence}")


def lead(law: Any) -> str:
    """Return the values of a line before what is said of it."""
    return ", ".join(f"{name} = {value}" for name, value in law.group.items()) + ": " * bool(
        law.group
    )


def sentences(law: Any) -> list[str]:
    """Return what a fit rests on, and what it is worth."""
    found = law.fit
    fitted = found.law
    rests = {
        "seeds": f"jackknife over {found.seeds} seeds",
        "residuals": "scatter about the law, since there is one seed, or all are alike",
        "nothing": "nothing: too few places and seeds",
    }[found.source]
    converged = "converged" if fitted.has_converged else "NOT converged"
    told = [
        f"{fitted.form.formula}; {found.places} places, {found.num_values} values of seeds",
        f"intervals of 95 % by {rests}",
        f"{fitted.agreed} of {fitted.starts} starts agree; {converged}",
    ]
    if law.reason:
        told.append(law.reason)
    if found.held_out:
        pairs = zip(found.held_out, found.errors, strict=True)
        errors = ", ".join(f"{x:g} by {100 * math.expm1(error):+.3g} %" for x, error in pairs)
        told.append(f"held out, off what the other places predict: {errors}")
    criteria = ", ".join(f"{rival.form.name} {rival.bic:.4g}" for rival in found.rivals)
    if criteria:
        told.append(f"BIC, lower is better: {criteria}")
    return told
