"""The command init: a new project that runs."""

import shlex
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from symstudy.cli.options import Json
from symstudy.cli.output import note, print_json, say
from symstudy.errors import ProjectError, unknown_name

__all__ = ["add_commands"]

BASE = "base"
ENDING = ".tmpl"
"""Ending of a template's files, so that no tool takes them for files of symstudy."""


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Studies")(init)


def init(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Folder to make, new or empty; its last part names the study.",
            show_default=False,
        ),
    ],
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="own|builtin",
            help="A model and data of your own, or a study of built-in parts.",
        ),
    ] = "own",
    as_json: Json = False,
) -> None:
    """Write a project that runs: study, model, data, a claim with its test, and a README.

    Overwrites nothing.

    Examples: `symstudy init my_project`; `symstudy init my_project --template builtin`
    """
    folder = Path(name)
    written = write_project(folder, template)
    if as_json:
        print_json([str(path) for path in written])
        return
    for path in written:
        say(str(path))
    there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(name)} && "
    note(f"Next: {there}symstudy run study.toml --launcher inline\nMore: {folder / 'README.md'}")


def write_project(folder: Path, template: str) -> list[Path]:
    """Write the files of a template into a new folder; return their paths.

    Args:
        folder: The folder; it may be there if it is empty.
        template: Name of the template.

    Raises:
        UnknownNameError: If there is no such template.
        ProjectError: If the folder holds anything, or its name cannot be that of a study.
    """
    root = resources.files("symstudy.cli") / "templates"
    known = sorted(item.name for item in root.iterdir() if item.is_dir() and item.name != BASE)
    if template not in known:
        raise unknown_name("--template", template, known)
    study = folder.resolve().name
    if not study or not all(char.isalnum() or char in "_-" for char in study):
        raise ProjectError(
            f"NAME must end in letters, digits, _ and -, since the study has that name, but got "
            f"{study!r}. Type symstudy init my_project"
        )
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ProjectError(
                f"NAME must be a new or empty folder, but {str(folder)!r} holds files. Name another"
            )
        paths = []
        for source in (root / BASE, root / template):
            for place, text in files_of(source):
                path = folder / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace("{{name}}", study), encoding="utf-8")
                paths.append(path)
    except OSError as error:
        raise ProjectError(
            f"NAME must be a folder that can be written, but {str(folder)!r} cannot: "
            f"{error.strerror}. Name another"
        ) from error
    return sorted(paths)


def files_of(folder: Traversable, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the files of a template: path in the project, and text."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from files_of(item, f"{place}{item.name}/")
        elif item.name.endswith(ENDING):
            yield f"{place}{item.name.removesuffix(ENDING)}", item.read_text(encoding="utf-8")
