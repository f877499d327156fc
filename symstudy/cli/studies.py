"""Commands about study files: validate, list, copy; plan is in its own file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.completion import complete_shipped
from symstudy.cli.modules import Dry, beside_study, print_modules, try_modules
from symstudy.cli.options import Json, Overrides, Preset, ProjectFolder, StudyPath
from symstudy.cli.output import note, print_json, print_table, say
from symstudy.cli.plan import plan
from symstudy.errors import unknown_name

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel="Studies")(validate)
    app.command(rich_help_panel="Studies")(plan)
    app.command("list", rich_help_panel="Studies")(list_things)
    app.command(rich_help_panel="Studies")(copy)


def validate(
    study: StudyPath,
    overrides: Overrides = None,
    preset: Preset = None,
    dry: Dry = True,
    as_json: Json = False,
) -> None:
    """Check a study file and every preset of it; list all mistakes at once.

    A module of your own is built and trained for a step, which takes some seconds.

    Examples: `symstudy validate studies/digits.toml`;
    `symstudy validate studies/digits.toml train.steps=0`
    """
    from symstudy.study import load_study
    from symstudy.study.document import read_document

    presets: list[str | None] = [preset]
    if preset is None:
        declared = read_document(study).values.get("presets", {})
        presets = [None, *(declared if isinstance(declared, dict) else [])]
    studies = [load_study(study, preset=name, overrides=overrides or ()) for name in presets]
    rows = [
        {
            "study": checked.name,
            "preset": checked.preset,
            "cells": len(checked.cells),
            "seeds": len(checked.seeds),
            "runs": len(checked.cells) * len(checked.seeds)
            if checked.search is None
            else checked.search.num_runs,
            "search": checked.search.config.method if checked.search else None,
            "claims": list(checked.claims),
        }
        for checked in studies
    ]
    found = None
    if dry:
        with beside_study(study, overrides or ()):
            found = try_modules(studies, device="cpu")
    unique = list({str(row["preset"]): row for row in rows}.values())
    if as_json:
        modules = [trial.to_json() for trial in found.trials] if found else []
        print_json([row | {"modules": modules} for row in unique])
        return
    for message in dict.fromkeys(message for checked in studies for message in checked.notes):
        note(f"{study}: {message}")
    for row in unique:
        with_preset = f" with preset {row['preset']}" if row["preset"] else ""
        what = f"{row['cells']} cells x {row['seeds']} seeds = {row['runs']} runs"
        if row["search"]:
            what = f"a search ({row['search']}) of at most {row['runs']} runs"
        say(f"{study}: valid{with_preset}: {what}")
    print_modules(found)


def study_rows(project: Any) -> list[dict[str, Any]]:
    """Return the studies of the project by their files, and those of symstudy by their names."""
    from symstudy.project import find_project, shipped_project

    found, shipped = find_project(project), shipped_project()
    rows = []
    if found is not None:
        rows += [study_row(path, shown(path)) for path in sorted(found.studies.glob("*.toml"))]
    if shipped is not None and (found is None or found.studies != shipped.studies):
        rows += [study_row(path, path.stem) for path in sorted(shipped.studies.glob("*.toml"))]
    return rows


def study_row(path: Path, typed: str) -> dict[str, Any]:
    """Return what is listed of a study file; `typed` is how a command names it."""
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        values = {"title": f"cannot be read: {error}"}
    return {
        "study": typed,
        "title": values.get("title", ""),
        "presets": ", ".join(values.get("presets", {})),
        "claims": ", ".join(values.get("claims", [])),
    }


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def claim_rows(project: Any) -> list[dict[str, Any]]:
    """Return the claims of the project and of installed packages."""
    from symstudy.project import find_project, list_claims

    return [
        {
            "claim": item.name,
            "study": item.study,
            "statement": item.statement,
            "reference": item.reference,
        }
        for item in list_claims(find_project(project), note)
    ]


def key_rows() -> list[dict[str, Any]]:
    """Return the keys of a study file."""
    from symstudy.study.keys import describe_keys

    return [key._asdict() for key in describe_keys()]


def config_rows(kind: str, config: type) -> list[dict[str, Any]]:
    """Return the keys of one kind of model or data."""
    from symstudy.components import first_line, keys_of

    keys = [f"{key.key}={key.default}" for key in keys_of(kind, config) if key.key != "kind"]
    return [{"kind": kind, "meaning": first_line(config), "keys and defaults": ", ".join(keys)}]


def component_rows(group: str) -> list[dict[str, Any]]:
    """Return the built-in and installed components of a group."""
    from symstudy.components import load_all

    return [row for kind, cls in load_all(group).items() for row in config_rows(kind, cls)]


def model_rows() -> list[dict[str, Any]]:
    """Return the kinds of models."""
    rows = component_rows("models")
    own = {
        "kind": "package.module:Name",
        "meaning": "A torch module of your own, or a function that returns one, by import path.",
        "keys and defaults": "its keyword arguments",
    }
    return [*rows, own]


def symmetry_rows() -> list[dict[str, Any]]:
    """Return the kinds of symmetries, a line each."""
    from symstudy.symmetry import SYMMETRIES

    return [
        {
            "symmetry": kind,
            "meaning": f"{entry.action}: {entry.applies_to}",
            "symmetric state": entry.symmetric_state,
            "conserved": entry.conserved,
        }
        for kind, entry in SYMMETRIES.items()
    ]


def measure_rows(project: Any) -> list[dict[str, Any]]:
    """Return the measures: built in, installed, and those beside the studies or in this folder.

    Each by the name that a study gives it, with whether a study must name it.
    """
    from symstudy.measures import LAYER_MEASURES, NETWORK_MEASURES, find_measure
    from symstudy.measures.catalogue import installed_measures, measures_in
    from symstudy.project import find_project

    project_found = find_project(project)
    folders = dict.fromkeys([project_found.studies, Path.cwd()] if project_found else [Path.cwd()])
    named = [(item.name, item) for item in (*LAYER_MEASURES, *NETWORK_MEASURES)]
    named += [(name, find_measure(name)) for name in installed_measures()]
    named += [(item.path, item) for folder in folders for item in measures_in(folder)]
    places = {"layer": "neurons", "attention": "attention"}
    return [
        {
            "measure": name,
            "recorded": places.get(item.on, item.on) if item.recorded == "always" else "if named",
            "kind": item.kind,
            "meaning": item.meaning,
            "source": item.source,
        }
        for name, item in named
    ]


def launcher_rows() -> list[dict[str, Any]]:
    """Return the launchers, built in and installed."""
    from symstudy.components import first_line
    from symstudy.launch.launchers.find import find_launcher, launcher_names

    return [
        {"launcher": name, "meaning": first_line(find_launcher(name))} for name in launcher_names()
    ]


def column_rows() -> list[dict[str, Any]]:
    """Return the columns of every table."""
    from symstudy.store.tables.hyperparameters import HYPERPARAMETERS
    from symstudy.store.tables.schema import CELLS, TABLES

    return [
        {
            "table": table.name,
            "column": column.name,
            "type": str(column.type),
            "meaning": column.meaning,
        }
        for table in TABLES.values()
        for column in (*table.columns, *(HYPERPARAMETERS if table is CELLS else ()))
    ]


READERS: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
    "studies": study_rows,
    "claims": claim_rows,
    "models": lambda _: model_rows(),
    "datasets": lambda _: component_rows("datasets"),
    "losses": lambda _: component_rows("losses"),
    "optimizers": lambda _: component_rows("optimizers"),
    "schedules": lambda _: component_rows("schedules"),
    "symmetries": lambda _: symmetry_rows(),
    "measures": measure_rows,
    "launchers": lambda _: launcher_rows(),
    "keys": lambda _: key_rows(),
    "columns": lambda _: column_rows(),
}
"""What can be listed, in the order of the help, and what reads it in a project."""


def complete_noun(incomplete: str) -> list[str]:
    """Return what can be listed."""
    return [noun for noun in READERS if noun.startswith(incomplete)]


def list_things(
    noun: Annotated[
        str,
        typer.Argument(
            metavar="|".join(READERS), help="What to list.", autocompletion=complete_noun
        ),
    ],
    project: ProjectFolder = None,
    as_json: Json = False,
) -> None:
    """List studies, claims, components, symmetries, measures, launchers, study keys or columns.

    Runs no code of the project: claims are read from their sources.
    """
    if noun not in READERS:
        raise unknown_name("what to list", noun, list(READERS))
    rows = READERS[noun](project)
    if as_json:
        print_json(rows)
        return
    if not rows:
        note(f"No {noun} found. Name the project's folder with --project.")
        return
    print_table(list(rows[0]), [list(row.values()) for row in rows])


def copy(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A study that comes with symstudy, or slurm, kubernetes, aws or docker.",
            show_default=False,
            autocompletion=complete_shipped,
        ),
    ],
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="Folder to write to.")
    ] = Path(),
    claims: Annotated[
        bool, typer.Option("--claims", help="Copy the claims that the study serves as well.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a study of symstudy out as a file to change, or the files for a cluster.

    Overwrites nothing.

    Examples: `symstudy copy smoke`; `symstudy copy width_saturation --claims --to my_project`;
    `symstudy copy slurm`
    """
    from symstudy.project import copy_shipped

    copied = copy_shipped(name, to, claims=claims)
    if as_json:
        print_json([str(path) for path in copied.paths])
    else:
        for path in copied.paths:
            say(str(path))
    if copied.missing:
        note(f"For the claims to be found add to {to / 'pyproject.toml'}:\n{copied.missing}")
