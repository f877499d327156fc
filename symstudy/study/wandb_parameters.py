"""The parameters of a sweep of Weights & Biases as keys of `[config]`: values and ranges."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from symstudy.study.toml import scalar_text

__all__ = ["Parameter", "read_parameters", "toml"]

EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
"""A number whose exponent YAML reads as a text, for want of a point or a sign."""
REMEDIES = {
    "probabilities": "leave it out: all values are equally likely",
    "q": "list its values: values: [...]",
}


class Parameter(NamedTuple):
    """A parameter of a sweep.

    Attributes:
        name: As the sweep has it, nested ones with dots.
        key: Its key in `[config]`.
        kind: `value`, `values` or `range`.
        text: What a study file has for it.
        is_nested: Whether it is in a table of parameters.
        has_booleans: Whether it may be true or false.
        has_texts: Whether numbers were written as texts.
    """

    name: str
    key: str
    kind: str
    text: str
    is_nested: bool = False
    has_booleans: bool = False
    has_texts: bool = False


def read_parameters(
    table: Mapping[Any, Any], *, is_grid: bool
) -> tuple[list[Parameter], list[str]]:
    """Return the parameters of a sweep, and what is wrong with them."""
    found: list[Parameter] = []
    wrong: list[str] = []
    for name, entry, is_nested in flattened(table):
        try:
            parameter = read_parameter(name, entry, is_grid=is_grid)
        except ValueError as error:
            wrong.append(f"parameters.{name} {error}")
            continue
        if any(parameter.key == other.key for other in found):
            wrong.append(
                f"parameters.{name} must have another name: {parameter.key} is there twice"
            )
        found.append(parameter._replace(is_nested=is_nested))
    return found, wrong


def flattened(table: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any, bool]]:
    """Yield each parameter's name, what is said of it, and whether it is in a table of others."""
    for name, entry in table.items():
        inner = entry.get("parameters") if isinstance(entry, dict) and len(entry) == 1 else None
        if isinstance(inner, dict) and inner:
            yield from flattened(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", entry, bool(before)


def key_of(name: str) -> str:
    """Return the key of a parameter in `[config]`: letters, digits, `_` and `-` between dots."""
    return re.sub(r"[^\w.-]", "_", name.strip("/").replace("/", "."), flags=re.ASCII)


def read_parameter(name: str, entry: object, *, is_grid: bool) -> Parameter:
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
    key = key_of(name)
    if set(rest) == {"value"} and kind in (None, "constant"):
        (value,), has_texts = numbers_of([rest["value"]])
        return Parameter(
            name,
            key,
            "value",
            toml(value),
            has_booleans=isinstance(value, bool),
            has_texts=has_texts,
        )
    if set(rest) == {"values"} and kind in (None, "categorical"):
        if not isinstance(rest["values"], list) or not rest["values"]:
            raise ValueError(f"must list values, but has {rest['values']!r}")
        values, has_texts = numbers_of(rest["values"])
        has_booleans = any(isinstance(value, bool) for value in values)
        return Parameter(
            name, key, "values", toml(values), has_booleans=has_booleans, has_texts=has_texts
        )
    if set(rest) != {"min", "max"}:
        raise ValueError(no_counterpart(rest, kind))
    if is_grid:
        raise ValueError("must list its values in a grid: values: [...]")
    return Parameter(name, key, "range", read_range(kind, rest["min"], rest["max"]))


def numbers_of(values: list[Any]) -> tuple[list[Any], bool]:
    """Return values with `1e-4` as the number that it is, and whether there was one.

    YAML reads it as a text. Beside texts of other kinds it stays one.
    """
    texts = [value for value in values if isinstance(value, str)]
    if not texts or not all(EXPONENT.fullmatch(text) for text in texts):
        return values, False
    return [float(value) if isinstance(value, str) else value for value in values], True


def no_counterpart(rest: Mapping[str, Any], kind: object) -> str:
    """Return what a parameter says that a study cannot, and what to write instead."""
    usual = {"value", "values"} if kind is None else {"value", "values", "min", "max"}
    odd = sorted(str(key) for key in rest if key not in usual) or sorted(map(str, rest))
    if kind is not None:
        odd.insert(0, f"distribution {kind}")
    remedies = [REMEDIES[key] for key in odd if key in REMEDIES]
    if kind is not None and not remedies:
        remedies = ["use uniform, int_uniform or log_uniform_values"]
    told = ", ".join(odd) or "what it says"
    return f"has no counterpart for {told}{''.join(f'; {each}' for each in remedies)}"


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


def toml(value: Any) -> str:
    """Return a value as TOML has it.

    Raises:
        ValueError: If TOML has none such.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return scalar_text(value)
