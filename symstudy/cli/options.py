"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from symstudy.cli.completion import (
    complete_claim,
    complete_preset,
    complete_results,
    complete_setting,
    complete_study,
)

__all__ = [
    "Claims",
    "Json",
    "Overrides",
    "Preset",
    "ProjectFolder",
    "Results",
    "ResultsPath",
    "StudyPath",
]


def study_file(given: Path) -> Path:
    """Return the study file that is meant by a path or by the name of a study."""
    from symstudy.project import find_study

    return find_study(given)


StudyPath = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY",
        help="Study file, or the name of a study of the project or of symstudy.",
        callback=study_file,
        autocompletion=complete_study,
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings that win over the file, as in train.steps=500 or model.width=[16,32].",
        autocompletion=complete_setting,
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        envvar="SYMSTUDY_PRESET",
        autocompletion=complete_preset,
        help="Preset of the file; its default if not given, none at all with 'none'.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Results = Annotated[
    str,
    typer.Option(
        "--results",
        metavar="DIR",
        envvar="SYMSTUDY_RESULTS",
        help="Folder (or URI such as s3://bucket/folder) that results go to.",
    ),
]
ResultsPath = Annotated[
    str,
    typer.Argument(
        metavar="[RESULTS]",
        envvar="SYMSTUDY_RESULTS",
        help="Folder of a study's results, or of several; a path or a URI.",
        autocompletion=complete_results,
    ),
]
Claims = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CLAIM]...",
        help="Claims; those that each study serves if none.",
        autocompletion=complete_claim,
        show_default=False,
    ),
]
ProjectFolder = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        envvar="SYMSTUDY_PROJECT",
        help="Project with the claims; the nearest folder above this one if not given.",
        show_default=False,
    ),
]
