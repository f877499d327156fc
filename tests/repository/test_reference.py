"""The generated pages of docs/reference, written from what the program knows about itself."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
import typer

from symstudy.cli.app import app
from symstudy.measures import (
    ATTENTION_MEASURES,
    EXTRA_MEASURES,
    MEASURES,
    NETWORK_MEASURES,
    PAIR_MEASURES,
)
from symstudy.store.tables.hyperparameters import HYPERPARAMETERS
from symstudy.store.tables.schema import CELLS, TABLES
from symstudy.study.keys import describe_keys

NOTE = "Generated from the code by `make golden`; a test keeps it true.\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |\n" for line in lines
    )


def code(text: str) -> str:
    """Return `text` as code, or nothing."""
    return f"`{text}`" if text else ""


def study_keys() -> str:
    """Return the page of the keys of a study file."""
    parts = ["# Keys of a study file\n", NOTE]
    for name, keys in itertools.groupby(describe_keys(), key=lambda key: key.table):
        words = name.split()
        kind = ["kind", *words[1:]][-2:]  # of a table, or of what a key of it names
        heading = f"[{words[0]}], {' '.join(kind)}" if len(words) > 1 else f"[{name}]"
        parts.append(f"## {heading if name else 'Top of the file'}\n")
        rows = [(code(k.key), k.values, code(k.default), k.meaning) for k in keys]
        parts.append(table(["key", "values", "default", "meaning"], rows))
    parts.append(
        'A model of your own has `kind = "package.module:Class"`; its other keys are the arguments '
        "of the class ([how to](../how-to/model.md)). So has data from a function of your own "
        "([how to](../how-to/dataset.md)).\n"
    )
    return "\n".join(parts)


def columns() -> str:
    """Return the page of the tables and their columns."""
    views = (
        "The views `cells` (means and intervals over seeds), `configurations` (hyperparameters), "
        "`count_curve` (one row a threshold), `convergence` (one row a run: is it evidence, "
        "[evidence](../design/evidence.md)), `planned` and `missing` are made of these. All others "
        "have the hyperparameters of `planned_cells`: those of built-in components, which are "
        "listed there, and of the user's own.\n"
    )
    parts = ["# Columns of the results\n", NOTE, views]
    for item in TABLES.values():
        parts.append(f"## {item.name}\n")
        own = HYPERPARAMETERS if item is CELLS else ()
        rows = [(code(c.name), str(c.type), c.meaning) for c in (*item.columns, *own)]
        parts.append(table(["column", "type", "meaning"], rows))
    return "\n".join(parts)


def measures() -> str:
    """Return the page of the measures of hidden layers, networks, features, runs and pairs."""
    always, attention, extra, pairs, networks = (
        table(
            ["measure", "kind", "meaning", "source"],
            [(code(m.name), m.kind, m.meaning, m.source) for m in measures],
        )
        for measures in (
            MEASURES,
            ATTENTION_MEASURES,
            EXTRA_MEASURES,
            PAIR_MEASURES,
            NETWORK_MEASURES,
        )
    )
    where = (
        "`layers` has one row a run, probe and layer; `runs` has the mean over the layers "
        "that have the measure, at the last step, as `mean_<measure>`: `rank` and `mean_rank`. A "
        "layer of neurons has these:\n"
    )
    heads = (
        "## Measures of an attention layer\n\nRecorded of attention layers, which have none of the "
        "above; null for layers of neurons.\n"
    )
    named = (
        "## Extra measures\n\nRecorded where a study names them, `[probe] measures = "
        '["permutation_distance"]`; null where the model declares no such symmetry of the layer '
        "([symmetries](../symmetries.md)).\n"
    )
    of_pairs = (
        "## Measures of pairs\n\nOf a layer of one run and a layer of another, where a study has "
        "`[pairs]` ([how to](../how-to/pairs.md)).\n"
    )
    whole = (
        "## Measures of features and of runs\n\nRecorded where a study names them. A number of the "
        "features, which are what the last layer reads of training samples, is a column of "
        "`history` and, at the last detailed probe, of `runs`; a vector is a list in `runs`, the "
        "last one; a measure of a run is a column of `runs` "
        "([neural collapse](../neural-collapse.md)).\n"
    )
    parts = ["# Measures\n", NOTE, "## Measures of a hidden layer\n", where, always]
    parts += [heads, attention, named, extra, of_pairs, pairs, whole, networks]
    return "\n".join(parts)


def command_line() -> str:
    """Return the page of the commands."""
    group: Any = typer.main.get_command(app)
    parts = ["# Command line\n", NOTE]
    parts.append(
        "Data go to stdout, all else to stderr. Exit status: 0 done, 1 some runs failed or are "
        "missing, 2 something to mend (the message says what to type), 130 interrupted.\n"
    )
    for name, command in every_command(group):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(["symstudy", name, *(bracketed(p) for p in arguments), "[OPTION ...]"])
        parts.append(f"## {name}\n\n```\n{usage}\n```\n")
        parts.append("\n\n".join((command.help or "").strip().split("\n\n")) + "\n")
        rows = [
            (code(", ".join(p.opts + p.secondary_opts)), p.help or "", code(first(p.envvar)))
            for p in command.params
            if p.param_type_name == "option"
        ]
        if rows:
            parts.append(table(["option", "meaning", "environment"], rows))
    return "\n".join(parts)


def every_command(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Return the commands of a group and of the groups in it, each with the words that call it."""
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if hasattr(command, "commands"):
            yield from every_command(command, f"{before}{name} ")


def bracketed(argument: Any) -> str:
    """Return an argument as usage lines write it."""
    name = argument.metavar or argument.name.upper()
    if argument.nargs == -1:
        return f"[{name.removesuffix('...').strip('[]')} ...]"
    return name if argument.required else f"[{name}]"


def first(names: str | Sequence[str] | None) -> str:
    """Return the environment variable of an option, or nothing."""
    return names if isinstance(names, str) else next(iter(names or ()), "")


PAGES: dict[str, Callable[[], str]] = {
    "study-keys.md": study_keys,
    "columns.md": columns,
    "measures.md": measures,
    "command-line.md": command_line,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_program_says(name, root):
    path = root / "docs" / "reference" / name
    if "SYMSTUDY_REFRESH_GOLDEN" in os.environ:
        path.write_text(PAGES[name](), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == PAGES[name](), "refresh it with: make golden"


DRAWN = ("--where", "--width", "--format", "--output", "--json")
"""Options of every figure."""


def test_the_options_are_those_that_were_decided_on():
    group: Any = typer.main.get_command(app)
    options = {
        name: {opt for p in command.params for opt in p.opts if opt.startswith("--")}
        for name, command in every_command(group)
    }
    assert options == {
        "symmetries": {
            "--data", "--arguments", "--integers", "--samples", "--discover", "--json",
        },
        "validate": {"--preset", "--dry", "--json"},
        "plan": {
            "--dry",
            "--preset", "--workers", "--device", "--probe", "--budget", "--results", "--project",
            "--json",
        },
        "list": {"--project", "--json"},
        "copy": {"--to", "--claims", "--json"},
        "import": {"--output"},
        "init": {"--template", "--json"},
        "run": {
            "--preset", "--results", "--project", "--launcher", "--address", "--workers", "--log",
            "--budget", "--retry", "--extend", "--quiet", "--json",
        },
        "submit": {
            "--preset", "--results", "--address", "--workers", "--project", "--retry", "--extend",
            "--wait", "--json",
        },
        "jobs": {"--address", "--logs", "--follow", "--stop", "--json"},
        "status": {"--watch", "--json"},
        "runs": {"--where", "--limit", "--traceback", "--json"},
        "provenance": {"--launch", "--show", "--output", "--json"},
        "cancel": {"--json"},
        "retry": {"--where", "--json"},
        "drop": {"--never-trained", "--dry-run", "--json"},
        "compact": {"--grace", "--json"},
        "verify": {"--json"},
        "query": {"--format", "--output", "--memory", "--timeout", "--json"},
        "explore": {"--port", "--and", "--no-open", "--json"},
        "analyze": {"--project", "--json"},
        "plot": set(),
        "plot claims": {"--project", "--width", "--format", "--json"},
        "plot scaling": {*DRAWN, "--x", "--y", "--by", "--average", "--fit", "--hold-out"},
        "plot curves": {*DRAWN, "--x", "--y", "--by", "--average"},
        "plot grid": {*DRAWN, "--x", "--y", "--by", "--average", "--facet"},
        "plot seeds": {*DRAWN, "--x", "--y", "--by"},
        "plot heatmap": {*DRAWN, "--x", "--y", "--color", "--average"},
        "plot importance": {*DRAWN, "--x", "--y", "--best", "--quantile"},
        "plot parallel": {*DRAWN, "--x", "--color"},
        "plot pairs": {*DRAWN, "--y"},
        "fit": {
            "--x", "--y", "--by", "--average", "--where", "--form", "--hold-out", "--json",
        },
        "report": {"--project", "--json"},
        "replicate": {
            "--results", "--power", "--effect", "--seeds", "--to", "--present-rule", "--project",
            "--json",
        },
    }  # fmt: skip
