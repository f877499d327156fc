"""From a sweep of Weights & Biases to a study file: its program, grid or search.

What has no counterpart here is refused by name; nothing is dropped without a word.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.errors import UserError
from symstudy.study.toml import key_text
from symstudy.study.wandb_parameters import Parameter, read_parameters, toml

__all__ = ["Imported", "import_sweep"]

METHODS = {"grid": "", "random": "random", "bayes": "gp"}
"""Methods of W&B, and the methods of [search] that do the same; a grid is a [sweep]."""
KNOWN = ("program", "method", "metric", "parameters", "command", "name", "description", "run_cap")
ADDRESSES = ("project", "entity")
"""Where W&B shows a sweep: results are in a folder here."""
REMEDIES = {
    "early_terminate": "take it out of the file, and write [search.halt] and [program] steps into "
    "the study",
    "imports": "leave it out",
}
MACRO = re.compile(r"\$\{(\w+)[^{}]*\}")
ARGUMENTS = {"${args}": "--", "${args_no_hyphens}": "", "${args_no_boolean_flags}": "--"}
"""Macros of all parameters, and what each word of theirs begins with."""
MACROS = (
    *("env", "interpreter", "program", "args", "args_no_hyphens", "args_no_boolean_flags"),
    *("args_no_equals", "args_json", "args_json_file", "envvar", "json", "json_file"),
)
"""Names of the macros that W&B replaces; it leaves others, such as those of Hydra, as they are."""
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
    is_grid = sweep.get("method") == "grid"
    parameters, mistakes = read_parameters(sweep["parameters"], is_grid=is_grid)
    wrong = [*refusals(sweep), *mistakes]
    words: list[str] = []
    try:
        words = read_command(sweep, parameters)
    except ValueError as error:
        wrong.append(f"command {error}")
    if wrong:
        listed = "".join(f"\n  {each}" for each in wrong)
        raise UserError(f"{source} must have nothing but what a study can say, but:{listed}")
    notes = (*notes_of(sweep, words), *notes_of_parameters(parameters, words))
    return Imported(text_of(sweep, parameters, words, source), notes)


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


def read_command(sweep: Mapping[str, Any], parameters: Sequence[Parameter]) -> list[str]:
    """Return the words of a command.

    Raises:
        ValueError: If one has no counterpart.
    """
    command = sweep.get("command", list(DEFAULT_COMMAND))
    if not isinstance(command, list):
        raise ValueError(  # noqa: TRY004  # what a file holds
            f"must be a list of words, but is {command!r}"
        )
    return [each for word in map(str, command) for each in words_of(word, sweep, parameters)]


def words_of(word: str, sweep: Mapping[str, Any], parameters: Sequence[Parameter]) -> list[str]:
    """Return what a study has for a word of a command.

    Raises:
        ValueError: If it has no counterpart.
    """
    if word == "${env}":
        return []
    if word == "${interpreter}":
        return ["python"]
    if word == "${program}":
        if not isinstance(sweep.get("program"), str):
            raise ValueError("names ${program}, but there is no program")
        return [str(sweep["program"])]
    if word in ARGUMENTS:
        flags = [each.name for each in parameters if each.has_booleans]
        if word == "${args_no_boolean_flags}" and flags:
            raise ValueError(
                f"has no counterpart for flags that are there or not, as {', '.join(flags)}; "
                "write ${args} and let the script read true and false"
            )
        return [f"{ARGUMENTS[word]}{literal(each.name)}={{{each.key}}}" for each in parameters]
    if any(name in MACROS for name in MACRO.findall(word)):
        raise ValueError(
            f"has no counterpart for {word}; write its words out, or let the script read "
            "symstudy.current_run().config"
        )
    return [literal(word)]


def literal(word: str) -> str:
    """Return a word of a command in which braces stand for themselves."""
    return word.replace("{", "{{").replace("}", "}}")


def text_of(
    sweep: Mapping[str, Any], parameters: Sequence[Parameter], words: list[str], source: str
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
    for parameter in parameters:
        of_kind[parameter.kind][parameter.key] = parameter.text
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


def notes_of_parameters(parameters: Sequence[Parameter], words: Sequence[str]) -> Iterator[str]:
    """Yield what a study says of parameters in another way than W&B."""
    for each in parameters:
        if each.key != each.name:
            yield f"parameter {each.name} is called {each.key}"
        if each.has_texts:
            yield f"{each.name}: YAML reads numbers such as 1e-4 as texts; they are numbers here"
    is_passed = any(f"{{{each.key}}}" in word for word in words for each in parameters)
    nested = [each.name for each in parameters if each.is_nested]
    if nested:
        passed = f"; the script gets --{nested[0]}=... for each" if is_passed else ""
        yield f"nested parameters are keys with dots, as {nested[0]}{passed}"
    flags = [each.name for each in parameters if each.has_booleans]
    if flags and is_passed:
        yield f"{', '.join(flags)}: true and false are passed in small letters; W&B passes True"
    if not is_passed:
        yield (
            "the command passes no parameters: let the script read symstudy.current_run().config "
            "where it reads wandb.config"
        )


def column_of(metric: str) -> str:
    """Return a metric's name as a column can have it."""
    return re.sub(r"\W", "_", metric)


def stem_of(source: str) -> str:
    """Return the name of a file without folder and ending."""
    return source.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
