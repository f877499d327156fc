"""Options that commands of figures and fits share, and how their files are kept."""

from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.completion import complete_column
from symstudy.cli.output import print_json, say

__all__ = [
    "Average",
    "By",
    "Color",
    "Facet",
    "Fit",
    "Formats",
    "HoldOut",
    "Output",
    "PairMeasure",
    "PairWhere",
    "Swept",
    "Where",
    "Width",
    "X",
    "Y",
    "keep",
    "words_of",
]

X = Annotated[
    str,
    typer.Option(
        "--x",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column along the horizontal axis, or a key as train.lr.",
    ),
]
Y = Annotated[
    str,
    typer.Option(
        "--y",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column of numbers that is shown.",
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="A line for each of its values; twice for a colour and a marker.",
        show_default=False,
    ),
]
Average = Annotated[
    list[str] | None,
    typer.Option(
        "--average",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Take the mean over its values too, and have the figure say so.",
        show_default=False,
    ),
]
Where = Annotated[
    str, typer.Option("--where", metavar="SQL", help='Which rows count, as in "gamma > 0".')
]
PairMeasure = Annotated[
    str | None,
    typer.Option(
        "--y",
        metavar="MEASURE",
        help="Measure of pairs, such as cka; the first that was recorded if not given.",
        show_default=False,
    ),
]
PairWhere = Annotated[
    str,
    typer.Option(
        "--where", metavar="SQL", help='Which rows of the view pairs count, as in "width = 16".'
    ),
]
Color = Annotated[
    str,
    typer.Option(
        "--color",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column of numbers that colours show.",
    ),
]
Facet = Annotated[
    list[str],
    typer.Option(
        "--facet",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="A panel for each of its values.",
    ),
]
Swept = Annotated[
    list[str] | None,
    typer.Option(
        "--x",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Hyperparameter; once for each. What is swept if not given.",
        show_default=False,
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="power|power+floor|broken|none",
        help="Law that is fitted; a power law along numbers if not given.",
        show_default=False,
    ),
]
HoldOut = Annotated[
    int, typer.Option("--hold-out", metavar="N", help="Largest places to predict from the others.")
]
Width = Annotated[
    str | None,
    typer.Option(
        "--width",
        metavar="LENGTH",
        help="Width in print, as 89mm for one column; text keeps 6 pt and more.",
        show_default=False,
    ),
]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="svg,pdf,png",
        help="Formats of the picture; SVG, or by the ending of the file.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File of the picture; RESULTS/figures/ and a name of the columns if not given.",
        show_default=False,
    ),
]


def words_of(given: list[str] | None) -> tuple[str, ...]:
    """Return columns that were named one by one, or with commas between them."""
    return tuple(name.strip() for text in given or () for name in text.split(",") if name.strip())


def keep(
    made: Any, results: str, formats: str | None, output: Path | None, *, as_json: bool
) -> None:
    """Write the files of a figure, and print where its pictures are."""
    from symstudy.plots.saving import FORMATS, parse_formats
    from symstudy.store import StudyFolder, open_location
    from symstudy.store.tables.export import write_file

    paths = []
    for ending, content in made.files(parse_formats(formats, output)).items():
        if output is None:
            place = StudyFolder(*open_location(results))
            name = f"{made.name}.{ending}"
            place.write_bytes(content, "figures", name)
            paths.append(place.join("figures", name))
        else:
            file = output.with_suffix(f".{ending}")
            write_file(content, file)
            paths.append(str(file))
    if as_json:
        laws = [law.to_json() for law in made.laws]
        print_json({"files": paths, "caption": made.caption, "laws": laws, **made.note})
        return
    for path in paths:
        if path.rsplit(".", 1)[-1] in FORMATS:
            say(path)
