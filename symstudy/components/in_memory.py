"""Whether the code that Python holds in memory is that of its file.

A file may be edited after Python imported it, and in a notebook anything may be assigned to a
module. Such a run would be known by code that did not train it. Compared are functions with their
defaults, and constants that the file states as literals: nothing is run for it.
"""

import ast
import builtins
import functools
import importlib.machinery
import importlib.util
import inspect
import marshal
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

__all__ = ["differing_name", "was_edited"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
PLAIN = (bool, int, float, complex, str, bytes, type(None), tuple, list, dict, set)
MOST_WRAPPERS = 20
MISSING = object()
HEAD = 16
"""Bytes of a compiled file before its code: mark, flags, time and size of the source."""


class Defined(NamedTuple):
    """A function that a file defines once, in the module or in a class.

    Attributes:
        owner: Names of the classes around it, from the outside.
        name: Its name there.
        codes: What it may have been compiled to.
        defaults: Defaults that are literals, by parameter.
        is_decorated: Whether something may have taken its place.
    """

    owner: tuple[str, ...]
    name: str
    codes: tuple[Any, ...]
    defaults: dict[str, Any]
    is_decorated: bool


class Expected(NamedTuple):
    """What a file says that Python must hold of it.

    Attributes:
        functions: Functions that are defined once.
        constants: Literals, by the names of the classes around them and their own.
        names: Full names of all functions.
        classes: Classes that are defined once, by their names from the outside, with what they
            inherit, as it is written.
    """

    functions: tuple[Defined, ...]
    constants: dict[tuple[tuple[str, ...], str], Any]
    names: frozenset[str]
    classes: dict[tuple[str, ...], tuple[str, ...]]


def was_edited(module: ModuleType) -> bool:
    """Return whether the file of a module was written again after it was imported.

    Python keeps the time and the size of the source with what it compiled, and goes by them alone:
    an edit of one second and size (or a copy that keeps the time) is not seen by it, so what it
    compiled is held against the source. Where it cannot write that, nothing is known.
    """
    spec = module.__spec__
    if spec is None or not spec.cached or not spec.origin:
        return False
    kept = Path(spec.cached)
    try:
        content = kept.read_bytes()
        about = Path(spec.origin).stat()
    except OSError:
        return False
    head = content[:HEAD]
    if len(head) < HEAD or head[:4] != importlib.util.MAGIC_NUMBER or any(head[4:8]):
        return False
    told = (int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:], "little"))
    here = (int(about.st_mtime) & 0xFFFFFFFF, about.st_size & 0xFFFFFFFF)
    if told == here:
        return not is_compiled_from(content[HEAD:], Path(spec.origin))
    return os.access(kept.parent, os.W_OK) and not sys.dont_write_bytecode


def is_compiled_from(compiled: bytes, source: Path) -> bool:
    """Return whether compiled code is that of a source, as far as either can be read."""
    try:
        return agrees(compiled, source.read_bytes(), str(source))
    except (OSError, EOFError, SyntaxError, TypeError, ValueError):
        return True


@functools.lru_cache(maxsize=256)
def agrees(compiled: bytes, text: bytes, file: str) -> bool:
    """Return whether compiled code is that of a text.

    Raises:
        EOFError, SyntaxError, TypeError, ValueError: If either cannot be read.
    """
    held = marshal.loads(compiled)  # noqa: S302  # Python has just run it
    stated = compile(text, file, "exec", dont_inherit=True)
    return not isinstance(held, CodeType) or form(held) == form(stated)


def differing_name(module: ModuleType) -> str:
    """Return a name of a module that is not what its file says; empty if there is none."""
    spec = module.__spec__
    # Loaders of other sorts may write code of their own into what they load.
    if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader:
        return ""
    try:
        expected = read_expected(str(spec.origin), Path(str(spec.origin)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Importing it anew says what is wrong, with the line.
        return ""
    return next(differences(module, expected, str(spec.origin)), "")


@functools.lru_cache(maxsize=256)
def read_expected(file: str, text: bytes) -> Expected:
    """Return what a file says.

    Raises:
        SyntaxError: If it is no Python.
    """
    tree = ast.parse(text)
    codes: dict[str, list[Any]] = {}
    for code in functions_in(compile(text, file, "exec", dont_inherit=True)):
        codes.setdefault(code.co_qualname, []).append(form(code))
    found = Expected((), {}, frozenset(codes), {})
    return read_body(tree.body, (), found, codes, altered_names(tree))


def functions_in(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of the functions of a module and of its classes, not of those inside."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & inspect.CO_NEWLOCALS:
                yield inner
            else:
                yield from functions_in(inner)


def form(code: CodeType) -> Any:
    """Return what code does, without its place in the file."""
    consts = tuple(map(constant_form, code.co_consts))
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return (code.co_name, code.co_code, consts, names, counts, code.co_exceptiontable)


def constant_form(value: Any) -> Any:
    """Return what a constant of code is, alike in every process.

    The order of a set of texts differs between processes, and with how it was read.
    """
    if isinstance(value, CodeType):
        return form(value)
    if isinstance(value, frozenset):
        return ("frozenset", tuple(sorted(map(repr, value))))
    if isinstance(value, tuple):
        return ("tuple", tuple(map(constant_form, value)))
    return (type(value).__name__, repr(value))


def altered_names(tree: ast.Module) -> frozenset[str]:
    """Return the names that functions of a module assign to, or whose values it may alter."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            names.update(node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add(node.value.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            names.update(each.id for each in ast.walk(node.value) if isinstance(each, ast.Name))
    return frozenset(names)


def read_body(
    body: Iterable[ast.stmt],
    owner: tuple[str, ...],
    found: Expected,
    codes: Mapping[str, list[Any]],
    altered: frozenset[str],
) -> Expected:
    """Return `found` with what the statements of a module or a class say."""
    statements = list(body)
    times = Counter(name for node in statements for name in bound_names(node))
    for node in statements:
        if isinstance(node, FUNCTIONS) and times[node.name] == 1:
            full = ".".join((*owner, node.name))
            whole = Defined(
                owner,
                mangled(node.name, owner),
                tuple(codes.get(full, ())),
                literal_defaults(node),
                is_decorated=bool(node.decorator_list),
            )
            found = found._replace(functions=(*found.functions, whole))
        elif isinstance(node, ast.ClassDef) and times[node.name] == 1:
            inner = (*owner, node.name)
            found.classes[inner] = tuple(ast.unparse(base) for base in node.bases)
            found = read_body(node.body, inner, found, codes, altered)
        elif (stated := literal_of(node)) is not None and times[stated[0]] == 1:
            name, value = stated
            is_mutable = isinstance(value, list | dict | set)
            if name not in altered or not (is_mutable or owner == ()):
                found.constants[owner, mangled(name, owner)] = value
    return found


def bound_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds or deletes in its own scope."""
    if isinstance(node, SCOPES):
        if not isinstance(node, ast.Lambda):
            yield node.name
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
        # `Class.method = other` alters what the name stands for.
        yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    for inner in ast.iter_child_nodes(node):
        yield from bound_names(inner)


def mangled(name: str, owner: tuple[str, ...]) -> str:
    """Return what a class calls a name of its body: `__x` of `Net` is `_Net__x`."""
    if owner and name.startswith("__") and not name.endswith("__"):
        return f"_{owner[-1].lstrip('_')}{name}"
    return name


def literal_of(node: ast.stmt) -> tuple[str, Any] | None:
    """Return the name and the value that a statement gives as a literal; None if it does not."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, value = node.target, node.value
    else:
        return None
    if not isinstance(target, ast.Name):
        return None
    try:
        return target.id, ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return None


def literal_defaults(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
    """Return the defaults of a function that are literals, by parameter."""
    places = [*node.args.posonlyargs, *node.args.args]
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(reversed(places), reversed(node.args.defaults), strict=False),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    found = {}
    for argument, default in pairs:
        if default is None:
            continue
        try:
            value = ast.literal_eval(default)
        except (ValueError, TypeError, SyntaxError):
            continue
        found[argument.arg] = value
    return found


def differences(module: ModuleType, expected: Expected, file: str) -> Iterator[str]:
    """Yield the names of a module that are not what its file says."""
    for function in expected.functions:
        holder = holder_of(module, function.owner)
        if holder is None:
            yield ".".join(function.owner)
        elif not is_function(holder.get(function.name, MISSING), function):
            yield ".".join((*function.owner, function.name))
    for (owner, name), value in expected.constants.items():
        held = (holder_of(module, owner) or {}).get(name, MISSING)
        # A class may make something else of what its body states: slots, members, fields.
        if (not owner or isinstance(held, PLAIN)) and not is_same(held, value):
            yield ".".join((*owner, name))
    for owner, bases in expected.classes.items():
        if not has_bases(module, owner, bases):
            yield ".".join(owner)
    for owner in ((), *expected.classes):
        yield from left_over(holder_of(module, owner) or {}, owner, expected, file)


def left_over(
    holder: Mapping[str, Any], owner: tuple[str, ...], expected: Expected, file: str
) -> Iterator[str]:
    """Yield the functions of a module or a class that its file had, and has no more."""
    for name, value in holder.items():
        code = getattr(unwrapped(value), "__code__", None)
        full = ".".join((*owner, name))
        if not isinstance(code, CodeType) or code.co_filename != file:
            continue
        if code.co_qualname == full and full not in expected.names:
            yield full


def holder_of(module: ModuleType, owner: tuple[str, ...]) -> Mapping[str, Any] | None:
    """Return the names of a module, or of one of its classes; None if it is no class."""
    holder: Mapping[str, Any] = vars(module)
    for name in owner:
        found = holder.get(name, MISSING)
        if not isinstance(found, type):
            return None
        holder = vars(found)
    return holder


def has_bases(module: ModuleType, owner: tuple[str, ...], bases: Sequence[str]) -> bool:
    """Return whether a class inherits what its file says, where that can be told by name."""
    cls: Any = module
    for name in owner:
        cls = vars(cls).get(name)
    named = [resolved(module, base) for base in bases]
    if not isinstance(cls, type) or not all(isinstance(each, type) for each in named):
        return True
    return cls.__bases__ == (tuple(named) or (object,))


def resolved(module: ModuleType, text: str) -> Any:
    """Return what names joined by dots stand for in a module; None if that is not known."""
    first, *more = text.split(".")
    found = vars(module).get(first, getattr(builtins, first, None))
    for name in more:
        found = getattr(found, name, None)
    return found


def is_function(held: Any, expected: Defined) -> bool:
    """Return whether what Python holds is the function that a file defines."""
    function = unwrapped(held)
    if not isinstance(function, FunctionType):
        return expected.is_decorated
    if form(function.__code__) not in expected.codes:
        return False
    defaults = defaults_of(function)
    return all(
        name in defaults and is_same(defaults[name], value)
        for name, value in expected.defaults.items()
    )


def unwrapped(value: Any) -> Any:
    """Return the function that a method, a property or a decorated function goes back to."""
    for _ in range(MOST_WRAPPERS):
        kept = (
            vars(value) if hasattr(type(value), "__dict__") and hasattr(value, "__dict__") else {}
        )
        inner = kept.get("__wrapped__")
        if inner is None and isinstance(value, staticmethod | classmethod):
            inner = value.__func__
        if inner is None and isinstance(value, property):
            inner = value.fget
        if inner is None and isinstance(value, functools.cached_property | functools.partial):
            inner = value.func
        if inner is None:
            break
        value = inner
    return value


def defaults_of(function: FunctionType) -> dict[str, Any]:
    """Return the defaults of a function by parameter."""
    code = function.__code__
    places = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    by_place = dict(zip(reversed(places), reversed(defaults), strict=False))
    return {**by_place, **(function.__kwdefaults__ or {})}


def is_same(held: Any, value: Any) -> bool:
    """Return whether a value is the literal: of one type, and written alike, as NaN is."""
    if isinstance(value, set):
        return bool(held == value)
    return type(held) is type(value) and repr(held) == repr(value)
