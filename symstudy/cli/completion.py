"""What Tab completes: studies, presets, settings, folders of results, claims and columns.

`symstudy --install-completion` turns it on for the shell. Each function is given what is typed so
far, runs no code of the user's, and completes nothing where something cannot be read: a shell has
no place for an error.
"""

import functools
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from symstudy.project import find_project, find_study, shipped_project
from symstudy.project.listing import claim_files, claim_folders
from symstudy.project.shipping import what_is_shipped

__all__ = [
    "complete_claim",
    "complete_column",
    "complete_launcher",
    "complete_preset",
    "complete_results",
    "complete_setting",
    "complete_shipped",
    "complete_study",
]

Completions = list[tuple[str, str]]
"""What a word may become, with a few words about it."""


def quiet(function: Callable[..., Completions]) -> Callable[..., Completions]:
    """Complete nothing where `function` raises."""

    @functools.wraps(function)
    def complete(*given: Any, **named: Any) -> Completions:
        try:
            return function(*given, **named)
        except Exception:  # noqa: BLE001  # whatever is wrong, the next Enter says it
            return []

    return complete


@quiet
def complete_study(incomplete: str) -> Completions:
    """Return the studies of the project and of symstudy, and the study files of a folder."""
    found: dict[str, str] = {}
    for project in (find_project(), shipped_project()):
        if project is not None:
            for path in sorted(project.studies.glob("*.toml")):
                if path.stem.startswith(incomplete):
                    found.setdefault(path.stem, read_table(path).get("title", ""))
    for path in beside(incomplete):
        if path.is_dir():
            found[f"{path}{os.sep}"] = ""
        elif path.suffix == ".toml":
            found[str(path)] = read_table(path).get("title", "")
    return list(found.items())


@quiet
def complete_shipped(incomplete: str) -> Completions:
    """Return what comes with symstudy and can be copied: studies, and files for clusters."""
    shipped = shipped_project()
    studies, clusters = what_is_shipped(shipped) if shipped is not None else ({}, {})
    found = [(name, read_table(path).get("title", "")) for name, path in studies.items()]
    return matching([*found, *((name, "files for a cluster") for name in clusters)], incomplete)


@quiet
def complete_preset(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the presets of the study that is named before."""
    study = first_argument(ctx, "study")
    presets = read_table(find_study(Path(study))).get("presets", {}) if study else {}
    return matching(((name, "") for name in ("none", *presets)), incomplete)


@quiet
def complete_setting(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the keys of a study file, or the values of a key, where it has a few.

    Bash cuts a word at its equals sign into three, of which it completes the last alone.
    """
    from symstudy.study.keys import describe_keys

    before = [str(word) for word in ctx.params.get("overrides") or ()]
    if before and (before[-1] == "=" or not incomplete):
        # The sign itself is told as nothing typed; after a whole setting there is no key.
        name = before[-2] if before[-1] == "=" and len(before) > 1 else before[-1]
        if words := values_of(name):
            return matching(((word, "") for word in words), incomplete)
    name, sign, _ = incomplete.partition("=")
    if sign:
        return matching(((f"{name}={word}", "") for word in values_of(name)), incomplete)
    keys = {name: each.meaning for each in describe_keys() if (name := typed(each))}
    return matching(((f"{name}=", meaning) for name, meaning in keys.items()), incomplete)


def typed(key: Any) -> str:
    """Return a key as it is typed before an equals sign; empty for one that is not."""
    table = key.table.partition(" ")[0]
    name = f"{table}.{key.key}" if table and table != "sweep" else key.key
    return name if name.replace(".", "").replace("_", "").isalnum() else ""


def values_of(name: str) -> list[str]:
    """Return the values of a key, where it has a few; of a component, the names to choose from."""
    from symstudy.components.registry import GROUPS, known_names
    from symstudy.study.keys import describe_keys

    group = {key: group for group, key in GROUPS.items()}.get(name)
    if group is not None:
        return known_names(group)
    described = next((key.values for key in describe_keys() if typed(key) == name), "")
    if described == "true or false":
        return ["true", "false"]
    if "|" in described:
        return [word.strip() for word in described.split("|")]
    return re.findall(r'"(\w+)"', described)


def first_argument(ctx: typer.Context, name: str) -> str:
    """Return the first argument of a command, called `name`, as it was typed or by default.

    Where the last word is an option that still lacks its value, nothing has been given its name.
    """
    return str(ctx.args[0] if ctx.args else ctx.params.get(name) or "")


def matching(found: Iterable[tuple[str, str]], incomplete: str) -> Completions:
    """Return the completions that begin with what is typed."""
    return [each for each in found if each[0].startswith(incomplete)]


@quiet
def complete_results(incomplete: str) -> Completions:
    """Return the folders that hold results, or folders with results, below what is typed."""
    found: Completions = []
    for path in beside(incomplete):
        if path.is_dir() and is_study(path):
            found.append((str(path), "results of a study"))
        elif path.is_dir() and any(is_study(inner) for inner in path.iterdir()):
            found += [(str(path), "results of studies"), (f"{path}{os.sep}", "")]
    return found


@quiet
def complete_claim(incomplete: str) -> Completions:
    """Return the claims of the project, or those of symstudy where there is no project."""
    found = {
        path.stem
        for folder in claim_folders(find_project(), lambda _: None)
        for path in claim_files(folder)
        if not path.stem.startswith("_")
    }
    return matching(((name, "") for name in sorted(found)), incomplete)


@quiet
def complete_column(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the columns of the results that are named before; those of every study without."""
    from symstudy.store.tables.hyperparameters import HYPERPARAMETERS
    from symstudy.store.tables.schema import RUNS

    about = {column.name: column.meaning for column in (*HYPERPARAMETERS, *RUNS.columns)}
    results = Path(first_argument(ctx, "results"))
    names = list(about)
    if results.is_dir() and any(is_study(path) for path in (results, *results.iterdir())):
        from symstudy.store import open_store

        names = list(open_store(str(results)).sql("select * from runs limit 0").columns)
    return matching(((name, about.get(name, "")) for name in names), incomplete)


@quiet
def complete_launcher(incomplete: str) -> Completions:
    """Return the launchers, built in and installed."""
    from symstudy.launch.launchers.find import launcher_names

    return matching(((name, "") for name in launcher_names()), incomplete)


def beside(incomplete: str) -> list[Path]:
    """Return the files and folders whose path begins with what is typed; no hidden ones."""
    folder = Path(incomplete) if incomplete.endswith(os.sep) else Path(incomplete).parent
    name = "" if incomplete.endswith(os.sep) else Path(incomplete).name
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.startswith(name) and not path.name.startswith(".")
    )


def is_study(path: Path) -> bool:
    """Return whether a folder holds the results of a study."""
    return (path / "study.json").is_file()


def read_table(path: Path) -> dict[str, Any]:
    """Return a study file as TOML has it; empty where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
