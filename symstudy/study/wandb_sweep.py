"""From a sweep of Weights & Biases to a study file: its program, grid or search.

What has no counterpart here is refused by name; nothing is dropped without a word.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.errors import UserError
from symstudy.study.toml import key_text, scalar_text

__all__ = ["Imported", "import_sweep"]

METHODS = {"grid": "", "random": "random", "bayes": "gp"}
"""Methods of W&B, and the methods of [search] that do the same; a grid is a [sweep]."""
KNOWN = ("program", "method", "metric", "parameters", "command", "name", "description", "run_cap")
ADDRESSES = ("project", "entity")
"""Where W&B shows a sweep: results are in a folder here."""
REMEDIES = {
    "early_terminate": "write [search.halt] and [program] steps instead",
    "imports": "leave it out",
}
DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
TRIALS = 100


class Imported(NamedTuple):
    """A study file made of a sweep.

    Attributes:
        text: The study file.
        notes: What a user has to know of it.
    """

    text: str
    notes: tuple[str, ...]


def import_sweep(sweep: object, source: str) -> Imported:
    """Return the study file of a sweep.

    Args:
        sweep: What its YAML file holds.
        source: Path of that file, for messages and names.

    Raises:
        UserError: If a part of it has no counterpart; names all of them.
    """
    if not isinstance(sweep, dict) or not isinstance(sweep.get("parameters"), dict):
        raise UserError(
            f"{source} must be a sweep of Weights & Biases, with a table `parameters`, but is none."
        )
    wrong = list(refusals(sweep))
    parameters = {}
    for name, entry in sweep["parameters"].items():
        try:
            parameters[str(name)] = read_parameter(entry, is_grid=sweep.get("method") == "grid")
        except ValueError as error:
            wrong.append(f"parameters.{name} {error}")
    words: list[str] = []
    try:
        words = read_command(sweep, list(parameters))
    except ValueError as error:
        wrong.append(f"command {error}")
    if wrong:
        listed = "".join(f"\n  {each}" for each in wrong)
        raise UserError(f"{source} must have nothing but what a study can say, but:{listed}")
    return Imported(text_of(sweep, parameters, words, source), tuple(notes_of(sweep, words)))


def refusals(sweep: Mapping[str, Any]) -> Iterator[str]:
    """Yield what has no counterpart among the keys of a sweep."""
    for key in sweep:
        if key not in (*KNOWN, *ADDRESSES):
            yield f"{key} has no counterpart; {REMEDIES.get(key, 'take it out of the file')}"
    method = sweep.get("method")
    if method not in METHODS:
        yield f"method must be one of {', '.join(METHODS)}, but is {method!r}"
    metric = sweep.get("metric")
    if metric is None and METHODS.get(str(method)):
        yield "metric must be given: a search needs what it minimises"
    if metric is not None:
        if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
            yield f"metric must have a name, but is {metric!r}"
            return
        for key in metric:
            if key not in ("name", "goal"):
                yield f"metric.{key} has no counterpart; take it out of the file"
        if metric.get("goal", "minimize") not in ("minimize", "maximize"):
            yield f"metric.goal must be minimize or maximize, but is {metric['goal']!r}"


class Parameter(NamedTuple):
    """A parameter of a sweep.

    Attributes:
        kind: `value`, `values` or `range`.
        text: What a study file has for it.
    """

    kind: str
    text: str


def read_parameter(entry: object, *, is_grid: bool) -> Parameter:
    """Return a parameter.

    Raises:
        ValueError: If it has no counterpart.
    """
    if not isinstance(entry, dict):
        raise ValueError(  # noqa: TRY004  # what a file holds
            f"must be a table such as {{value: 1}}, but is {entry!r}"
        )
    rest = {key: value for key, value in entry.items() if key != "distribution"}
    kind = entry.get("distribution")
    if set(rest) == {"value"} and kind in (None, "constant"):
        return Parameter("value", toml(rest["value"]))
    if set(rest) == {"values"} and kind in (None, "categorical"):
        if not isinstance(rest["values"], list) or not rest["values"]:
            raise ValueError(f"must list values, but has {rest['values']!r}")
        return Parameter("values", toml(rest["values"]))
    if set(rest) != {"min", "max"}:
        odd = sorted({*rest, *([f"distribution {kind}"] if kind else [])} - {"min", "max"})
        raise ValueError(f"has no counterpart for {', '.join(map(str, odd)) or 'what it says'}")
    if is_grid:
        raise ValueError("must list its values in a grid: values: [...]")
    return Parameter("range", read_range(kind, rest["min"], rest["max"]))


def read_range(kind: object, low: Any, high: Any) -> str:
    """Return the range of a distribution as a study file has it.

    Raises:
        ValueError: If it has no counterpart.
    """
    if not all(isinstance(e, int | float) and not isinstance(e, bool) for e in (low, high)):
        hint = ", since YAML reads 1e-4 as a text: write 1.0e-4" if isinstance(low, str) else ""
        raise ValueError(f"must have numbers for min and max, but has {low!r} and {high!r}{hint}")
    are_integers = isinstance(low, int) and isinstance(high, int)
    if kind == "int_uniform" or (kind is None and are_integers):
        if not are_integers:
            raise ValueError(f"must have whole min and max, but has {low!r} and {high!r}")
        return f"{{ linear = [{low}, {high}] }}"
    if kind in (None, "uniform"):
        return f"{{ linear = [{toml(float(low))}, {toml(float(high))}] }}"
    if kind == "log_uniform_values":
        return f"{{ log = [{toml(float(low))}, {toml(float(high))}] }}"
    if kind == "log_uniform":
        return f"{{ log = [{toml(math.exp(low))}, {toml(math.exp(high))}] }}"
    raise ValueError(
        f"has no counterpart for distribution {kind}; use uniform, int_uniform or "
        "log_uniform_values"
    )


def read_command(sweep: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the words of a command.

    Raises:
        ValueError: If one has no counterpart.
    """
    command = sweep.get("command", list(DEFAULT_COMMAND))
    if not isinstance(command, list):
        raise ValueError(  # noqa: TRY004  # what a file holds
            f"must be a list of words, but is {command!r}"
        )
    words: list[str] = []
    for word in map(str, command):
        if word == "${env}":
            continue
        if word == "${interpreter}":
            words.append("python")
        elif word == "${program}":
            if not isinstance(sweep.get("program"), str):
                raise ValueError("names ${program}, but there is no program")
            words.append(str(sweep["program"]))
        elif word in ("${args}", "${args_no_hyphens}"):
            head = "--" if word == "${args}" else ""
            words += [f"{head}{name}={{{name}}}" for name in names]
        elif "${" in word:
            raise ValueError(f"has no counterpart for {word}; write its words out")
        else:
            words.append(word.replace("{", "{{").replace("}", "}}"))
    return words


def text_of(
    sweep: Mapping[str, Any], parameters: Mapping[str, Parameter], words: list[str], source: str
) -> str:
    """Return the study file."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(sweep.get("name") or stem_of(source))).strip("_")
    lines = [f"# Made of {source} by `symstudy import`.", "schema = 1", f"name = {toml(name)}"]
    if sweep.get("name"):
        lines.append(f"title = {toml(str(sweep['name']))}")
    if sweep.get("description"):
        lines.append(f"description = {toml(str(sweep['description']))}")
    lines += ["", "[program]", f"command = {toml(words)}", "", "[config]"]
    of_kind: dict[str, dict[str, str]] = {"value": {}, "values": {}, "range": {}}
    for key, parameter in parameters.items():
        of_kind[parameter.kind][key] = parameter.text
    lines += [f"{key_text(key)} = {text}" for key, text in of_kind["value"].items()]
    method = METHODS[sweep["method"]]
    varied = {**of_kind["values"], **of_kind["range"]}
    if not method:
        lines += ["", "[sweep]"]
        lines += [f"{toml(f'config.{key}')} = {text}" for key, text in varied.items()]
        return "\n".join([*lines, ""])
    lines += [
        "",
        "[search]",
        f'method = "{method}"',
        f"objective = {toml(column_of(sweep['metric']['name']))}",
        f'direction = "{sweep["metric"].get("goal", "minimize")}"',
        f"trials = {int(sweep.get('run_cap', TRIALS))}",
        "",
        "[search.space]",
    ]
    lines += [f"{toml(f'config.{key}')} = {text}" for key, text in varied.items()]
    return "\n".join([*lines, ""])


def notes_of(sweep: Mapping[str, Any], words: Sequence[str]) -> Iterator[str]:
    """Yield what a user has to know of the study file."""
    script = next((word for word in words if word.endswith(".py")), "the script")
    yield f"in {script}, call symstudy.report(step, loss=...) where it calls wandb.log"
    for key in ADDRESSES:
        if key in sweep:
            yield f"{key} = {sweep[key]} is left out: results are in a folder"
    metric = sweep.get("metric")
    if metric and column_of(metric["name"]) != metric["name"]:
        yield f"metric {metric['name']!r} is to be reported as {column_of(metric['name'])!r}"
    if METHODS[sweep["method"]] and "run_cap" not in sweep:
        yield f"a sweep without run_cap has no end; search.trials is {TRIALS}"


def column_of(metric: str) -> str:
    """Return a metric's name as a column can have it."""
    return re.sub(r"\W", "_", metric)


def stem_of(source: str) -> str:
    """Return the name of a file without folder and ending."""
    return source.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]


def toml(value: Any) -> str:
    """Return a value as TOML has it.

    Raises:
        ValueError: If TOML has none such.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return scalar_text(value)
