"""Expressions over the keys of a study, such as `4 * model.width` or `train.optimizer == 'sgd'`.

An expression is compiled once, from its syntax tree, into functions that call each other. What the
tree may hold is listed here; nothing else of Python can be written, so an expression can neither
run code nor go on for long.
"""

import ast
import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from symstudy.errors import nearest

__all__ = ["Expression", "ExpressionError", "Lookup", "read_expression"]

LONGEST = 400
"""Characters of an expression at most."""
LARGEST_BITS = 1024
"""Bits of a power of integers at most: as many as the largest float."""
DIGITS = 12
"""Digits of a number that is worked out: the same on every machine, so that identifiers are."""
CALLS = "min, max, round, sqrt, log2"
WRITES = (
    "keys such as model.width, numbers, strings in quotes, true, false, + - * / // % **, "
    f"comparisons, in, and, or, not, {CALLS}"
)

Lookup = Callable[[str], Any]
"""From a dotted key to its value."""
Evaluator = Callable[[Lookup], Any]


class ExpressionError(ValueError):
    """An expression that cannot be read, or has no value; says what must hold."""


class Expression(NamedTuple):
    """A compiled expression.

    Attributes:
        text: As written.
        names: Dotted keys that it reads, each once.
        evaluate: Its value, given the values of keys. Raises ExpressionError where it has none.
    """

    text: str
    names: tuple[str, ...]
    evaluate: Evaluator


@functools.lru_cache(maxsize=4096)
def read_expression(text: str) -> Expression:
    """Return an expression, compiled.

    Raises:
        ExpressionError: If it is none, or holds what an expression may not.

    Examples:
        >>> read_expression("4 * model.width").evaluate({"model.width": 8}.__getitem__)
        32
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"must have at most {LONGEST} characters, but has {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        names: list[str] = []
        inner = build(tree, names)
    except (SyntaxError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise ExpressionError(
            f"must be an expression of {WRITES}, but got {text!r}: {reason}"
        ) from error
    is_worked_out = not isinstance(tree, ast.Attribute | ast.Constant | ast.Name)
    return Expression(text, tuple(dict.fromkeys(names)), rounded(inner) if is_worked_out else inner)


def rounded(inner: Evaluator) -> Evaluator:
    """Return an evaluator whose numbers have so many digits as all machines agree on."""

    def evaluate(lookup: Lookup) -> Any:
        return to_digits(inner(lookup))

    return evaluate


def build(node: ast.expr, names: list[str]) -> Evaluator:
    """Return the evaluator of a syntax tree; `names` is told the keys that it reads.

    Raises:
        ExpressionError: If the tree holds what an expression may not.
    """
    builder = BUILDERS.get(type(node))
    if builder is None:
        raise ExpressionError(f"must be made of {WRITES}, but got `{ast.unparse(node)}`")
    return builder(node, names)


def build_constant(node: ast.Constant, names: list[str]) -> Evaluator:
    """Return the evaluator of a number, string or truth value."""
    del names
    value = node.value
    if not isinstance(value, int | float | str):
        raise ExpressionError(f"must be made of {WRITES}, but got `{ast.unparse(node)}`")
    return lambda _: value


def build_name(node: ast.Name, names: list[str]) -> Evaluator:
    """Return the evaluator of `true` or `false`; any other name needs its table."""
    del names
    if node.id not in ("true", "false"):
        raise ExpressionError(
            f"must name keys with their table, such as model.width, but got {node.id!r}. A string "
            f"needs quotes: '{node.id}'"
        )
    value = node.id == "true"
    return lambda _: value


def build_key(node: ast.Attribute, names: list[str]) -> Evaluator:
    """Return the evaluator of a dotted key."""
    parts = [node.attr]
    inner: ast.expr = node.value
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        raise ExpressionError(f"must name keys as table.key, but got `{ast.unparse(node)}`")
    name = ".".join([inner.id, *reversed(parts)])
    names.append(name)
    return lambda lookup: lookup(name)


def is_number(value: object) -> bool:
    """Return whether a value is a number, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers(word: str, *values: Any) -> None:
    """Raise unless all `values` are numbers.

    Raises:
        ExpressionError: If one is none.
    """
    for value in values:
        if not is_number(value):
            raise ExpressionError(f"must have numbers for `{word}`, but got {value!r}")


def power(base: float, exponent: float) -> Any:
    """Return a power; one of integers is bounded.

    Raises:
        ExpressionError: If it is too large, or not a real number.
    """
    if isinstance(base, int) and isinstance(exponent, int):
        if exponent > 0 and abs(base) > 1 and exponent * base.bit_length() > LARGEST_BITS:
            raise ExpressionError(f"must be a number that fits, but got {base} ** {exponent}")
    elif base < 0 and exponent != int(exponent):
        raise ExpressionError(f"must be a real number, but got {base!r} ** {exponent!r}")
    return base**exponent


def to_digits(value: Any) -> Any:
    """Return a number with so many digits as all machines agree on: 3 * 0.1 is 0.3."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def floored(left: float, right: float) -> Any:
    """Return how often one number goes into another: 1 // 0.1 is 10, of integers an integer."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    return float(math.floor(to_digits(left / right)))


def left_over(left: float, right: float) -> Any:
    """Return what is left of a number beside the multiples of another: 1 % 0.1 is 0."""
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    share = to_digits(left / right)
    return right * (share - math.floor(share))


ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", floored),
    ast.Mod: ("%", left_over),
    ast.Pow: ("**", power),
}
ORDERS: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}


def computed(word: str, function: Callable[..., Any], *values: Any) -> Any:
    """Return `function` of numbers, a finite number.

    Raises:
        ExpressionError: If a value is no number, or the result none that is finite.
    """
    numbers(word, *values)
    try:
        result = function(*values)
    except (ArithmeticError, ValueError) as error:
        shown = ", ".join(map(repr, values))
        raise ExpressionError(
            f"must have a value, but `{word}` of {shown} has none: {error}"
        ) from error
    if isinstance(result, float) and not math.isfinite(result):
        raise ExpressionError(f"must be finite, but `{word}` gave {result!r}")
    return result


def build_binary(node: ast.BinOp, names: list[str]) -> Evaluator:
    """Return the evaluator of a sum, product or the like."""
    if type(node.op) not in ARITHMETIC:
        raise ExpressionError(f"must be made of {WRITES}, but got `{ast.unparse(node)}`")
    word, function = ARITHMETIC[type(node.op)]
    left, right = build(node.left, names), build(node.right, names)
    return lambda lookup: computed(word, function, left(lookup), right(lookup))


def build_unary(node: ast.UnaryOp, names: list[str]) -> Evaluator:
    """Return the evaluator of a sign or of `not`."""
    inner = build(node.operand, names)
    if isinstance(node.op, ast.Not):
        return lambda lookup: not truth("not", inner(lookup))
    if isinstance(node.op, ast.USub):
        return lambda lookup: computed("-", operator.neg, inner(lookup))
    if isinstance(node.op, ast.UAdd):
        return lambda lookup: computed("+", operator.pos, inner(lookup))
    raise ExpressionError(f"must be made of {WRITES}, but got `{ast.unparse(node)}`")


def truth(word: str, value: Any) -> bool:
    """Return a truth value.

    Raises:
        ExpressionError: If it is none.
    """
    if not isinstance(value, bool):
        raise ExpressionError(f"must have true or false for `{word}`, but got {value!r}")
    return value


def build_logic(node: ast.BoolOp, names: list[str]) -> Evaluator:
    """Return the evaluator of `and` or `or`; what comes after the decision is not looked at."""
    parts = [build(value, names) for value in node.values]
    if isinstance(node.op, ast.And):
        return lambda lookup: all(truth("and", part(lookup)) for part in parts)
    return lambda lookup: any(truth("or", part(lookup)) for part in parts)


def build_comparison(node: ast.Compare, names: list[str]) -> Evaluator:
    """Return the evaluator of one or several comparisons in a row."""
    terms = [build(term, names) for term in (node.left, *node.comparators)]
    checks = [comparison(kind) for kind in node.ops]

    def evaluate(lookup: Lookup) -> bool:
        left = terms[0](lookup)
        for check, term in zip(checks, terms[1:], strict=True):
            right = term(lookup)
            if not check(left, right):
                return False
            left = right
        return True

    return evaluate


def comparison(kind: ast.cmpop) -> Callable[[Any, Any], bool]:
    """Return the function of a comparison.

    Raises:
        ExpressionError: If it is none that may be used.
    """
    if type(kind) in ORDERS:
        word, order = ORDERS[type(kind)]
        return lambda left, right: bool(computed(word, order, to_digits(left), to_digits(right)))
    found = COMPARISONS.get(type(kind))
    if found is None:
        raise ExpressionError("must compare by == != < <= > >= in, not in, but got `is`")
    if type(kind) in (ast.In, ast.NotIn):
        return lambda left, right: found(
            to_digits(left), [to_digits(each) for each in several(right)]
        )
    return lambda left, right: found(to_digits(left), to_digits(right))


def several(value: Any) -> Any:
    """Return the list to the right of `in`.

    Raises:
        ExpressionError: If it is none.
    """
    if not isinstance(value, list | tuple):
        raise ExpressionError(f"must have a list after `in`, such as [8, 16], but got {value!r}")
    return value


def build_list(node: ast.List | ast.Tuple, names: list[str]) -> Evaluator:
    """Return the evaluator of a list."""
    parts = [build(item, names) for item in node.elts]
    return lambda lookup: [part(lookup) for part in parts]


def rounding(value: float, digits: int | None = None) -> Any:
    """Return the nearest integer, or a number with so many digits after the point.

    Raises:
        ValueError: If that many digits cannot be kept.
    """
    if digits is None:
        return round(to_digits(value))
    if not (isinstance(digits, int) and 0 <= digits <= DIGITS):
        raise ValueError(f"digits must be an integer from 0 to {DIGITS}, but got {digits!r}")
    return round(value, digits)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "min": (min, 2, LONGEST),
    "max": (max, 2, LONGEST),
    "round": (rounding, 1, 2),
    "sqrt": (math.sqrt, 1, 1),
    "log2": (math.log2, 1, 1),
}
"""Functions by name, with the least and the greatest number of their arguments."""


def build_call(node: ast.Call, names: list[str]) -> Evaluator:
    """Return the evaluator of a call of one of a few functions."""
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        close = nearest(name, FUNCTIONS)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise ExpressionError(f"must call one of {CALLS}, but got {name!r}{hint}")
    function, least, most = FUNCTIONS[name]
    if node.keywords or not least <= len(node.args) <= most:
        count = f"{least}" if least == most else f"at least {least}" if most > 2 else "1 or 2"
        raise ExpressionError(f"must give {name} {count} values, but got `{ast.unparse(node)}`")
    parts = [build(part, names) for part in node.args]
    return lambda lookup: computed(name, function, *(part(lookup) for part in parts))


BUILDERS: dict[type[ast.expr], Callable[[Any, list[str]], Evaluator]] = {
    ast.Constant: build_constant,
    ast.Name: build_name,
    ast.Attribute: build_key,
    ast.BinOp: build_binary,
    ast.UnaryOp: build_unary,
    ast.BoolOp: build_logic,
    ast.Compare: build_comparison,
    ast.List: build_list,
    ast.Tuple: build_list,
    ast.Call: build_call,
}
"""What an expression may be made of; anything else is refused."""
