"""Names and numbers as figures write them: mathematics typeset, text of others letter by letter."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from symstudy.escaping import figure_text

__all__ = [
    "SYMBOLS",
    "axis_words",
    "name_label",
    "number_label",
    "setting_label",
    "typeset",
    "value_label",
]

NBSP = "\N{NO-BREAK SPACE}"
SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "gamma": r"$\gamma$",
        "lr": r"$\eta$",
        "lr_over_batch": r"$\eta / B$",
        "temperature": r"$T = \eta / B$",
        "batch_size": "$B$",
        "beta": r"$\beta$",
        "beta1": r"$\beta_1$",
        "beta2": r"$\beta_2$",
        "epsilon": r"$\epsilon$",
        "gamma_c": r"$\gamma_c$",
        "theta_norm": r"$\|\theta\|$",
        "decay_budget": r"$B_{\mathrm{wd}}$",
    }
)
"""Symbols of columns."""
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "gamma": "weight decay",
        "lr": "learning rate",
        "lr_over_batch": "learning rate / batch size",
        "temperature": "temperature",
        "batch_size": "batch size",
        "theta_norm": "norm of all parameters",
        "decay_budget": "decay budget",
    }
)
"""What symbols stand for, before them on an axis."""


def name_label(column: str, *, is_axis: bool = True) -> str:
    r"""Return a column as an axis or a legend names it, such as `weight decay $\gamma$`."""
    symbol = SYMBOLS.get(column)
    if symbol is None:
        return figure_text(column.replace("_", " "))
    return f"{WORDS[column]} {symbol}" if is_axis and column in WORDS else symbol


def axis_words(column: str) -> str:
    """Return a column as an axis names it, as plain text that `typeset` sets."""
    words, name = WORDS.get(column, ""), column.replace("_", " ")
    if not words or words == name:
        return name
    return f"{words} {column}" if column in GREEK else words


def number_label(value: float, digits: int = 3) -> str:
    """Return a number in a few characters; powers of ten are typeset."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text.replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = text.split("e")
    power = f"10^{{{int(exponent)}}}"
    if mantissa in ("1", "-1"):
        return f"${mantissa.removesuffix('1')}{power}$"
    return rf"${mantissa}\times {power}$"


def value_label(value: Any) -> str:
    """Return a value of a column as a figure writes it."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return figure_text(str(value))
    if float(value) == int(value) if math.isfinite(float(value)) else False:
        whole = int(value)
        if abs(whole) < 1_000_000:
            return str(whole).replace("-", "\N{MINUS SIGN}")
    return number_label(float(value), 4)


def setting_label(values: Mapping[str, Any]) -> str:
    r"""Return values of columns as a legend names them, such as `$\gamma$ = 0.1, depth = 2`."""
    return ", ".join(
        f"{name_label(name, is_axis=False)}{NBSP}={NBSP}{value_label(value)}"
        for name, value in values.items()
    )


GREEK = ("alpha", "beta", "gamma", "epsilon", "eta", "theta", "kappa", "lambda", "sigma", "tau")
WORD = re.compile(
    r"""
    (?P<greek>\b(?:alpha|beta|gamma|epsilon|eta|theta|kappa|lambda|sigma|tau)(?:_(?P<index>\w+))?\b)
    |(?P<number>\b\d(?:\.\d+)?)e(?P<ten>[+-]?\d+)\b
    |(?P<base>\b[A-Za-z]\w*|\|[^|\s]+\||\b\d+)\^(?P<power>-?[\w.]+|\([^)]*\))
    |(?P<letter>\b[A-Za-z])_(?P<below>\w+)\b
    """,
    re.VERBOSE,
)
SIGNS = (
    ("+-", "\N{PLUS-MINUS SIGN}"),
    ("<=", "\N{LESS-THAN OR EQUAL TO}"),
    (">=", "\N{GREATER-THAN OR EQUAL TO}"),
)


def typeset(text: str) -> str:
    """Return plain text as a figure draws it: mathematics set, all else letter by letter.

    `gamma`, `gamma_c`, `k^-a`, `s_1`, `1e-05`, `+-` and `<=` are set as mathematics; a dollar or a
    backslash of somebody else's is drawn as it is.
    """
    plain = figure_text(text)
    for sign, drawn in SIGNS:
        plain = plain.replace(sign, drawn)
    return WORD.sub(set_word, plain)


def set_word(found: re.Match[str]) -> str:
    """Return a piece of mathematics as matplotlib typesets it."""
    if found["greek"]:
        name, _, index = found["greek"].partition("_")
        return rf"$\{name}_{{\mathrm{{{index}}}}}$" if index else rf"$\{name}$"
    if found["number"]:
        return number_label(float(f"{found['number']}e{found['ten']}"))
    if found["base"]:
        base = found["base"]
        base = rf"\{base}" if base in GREEK else base.replace("|", r"\|")
        return f"${base}^{{{found['power'].strip('()')}}}$"
    return f"${found['letter']}_{{{found['below']}}}$"
