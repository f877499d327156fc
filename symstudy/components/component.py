"""A component: anything that a study file can name, declared once, where it is implemented.

A component is a frozen dataclass. For each field it gives type, bounds, default, role and, in the
string below it, the meaning. Validation and its messages, identity, the shape of a pack, the
store's column, the reference page and completion are derived from these.
"""

import ast
import dataclasses
import functools
import inspect
import itertools
import linecache
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

from annotated_types import Ge, Gt, Le, Lt

from symstudy.components.roles import Always, Choice, KnownBy, OwnCode, Role, Word
from symstudy.errors import Mistake

__all__ = ["Component", "Field", "Item", "component", "fields_of", "first_line", "items_of"]

C = TypeVar("C", bound="Component")


class Field(NamedTuple):
    """One field of a component, as it was declared.

    Attributes:
        name: Key in a study file and in canonical JSON.
        annotation: Its type with bounds, without the marks of `symstudy.components.roles`.
        default: What holds where it is not given; `dataclasses.MISSING` if it must be given.
        role: How the runs of a pack may differ in it.
        choice: The group that it chooses from, if it names a component.
        word: The word that may stand for its default.
        known_by: The field that tells what is at this address, if it is an address.
        source: The field with the hash of its source, if it is an import path of own code.
        is_always: Whether identity counts it at its default too.
    """

    name: str
    annotation: Any
    default: Any
    role: Role
    choice: Choice | None
    word: str
    known_by: str
    source: str
    is_always: bool

    @property
    def is_key(self) -> bool:
        """Whether a study file may have it."""
        return self.role is not Role.RESOLVED


class Item(NamedTuple):
    """One field of a component with its value, components that it chose included.

    Attributes:
        owner: The component that declares the field.
        field: The field.
        value: Its value; the name of the chosen component where it is a choice.
    """

    owner: "Component"
    field: Field
    value: Any


@dataclass_transform(frozen_default=True, kw_only_default=True)
def component(cls: type[C]) -> type[C]:
    """Make a class a component: a frozen dataclass with keyword-only fields."""
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


class Component:
    """Base of all components.

    Contract: a component is a value. It is read from a study file without loading torch; equal
    fields mean equal behaviour, on every machine; what it computes is a pure function of its fields
    and its arguments. `__post_init__` raises ValueError where two fields do not fit, in the words
    "`table.key` must ..., but got ...".

    Attributes:
        table: Table of a study file that it is read from, for messages.
        idle_without: Keys that nothing reads where another key has its default, each with that key.
    """

    table: ClassVar[str] = ""
    idle_without: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def of_table(cls, table: dict[str, Any]) -> dict[str, Any]:
        """Return the keys of a table as fields; a component of the user's own may gather some."""
        return table

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the component with the content of its addresses, and what is wrong with them.

        Returns:
            Itself where it has no address; for each mistake the key and what must hold.
        """
        return self, []

    def lost_in_32_bits(self) -> tuple[str, str] | None:
        """Return the key and what must hold where 32 bits do not hold what it stands for.

        None if they do. Its own numbers are looked at by whoever asks.
        """
        return None

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, that of a chosen component too; `default` without the key."""
        return next((item.value for item in items_of(self) if item.field.name == key), default)

    def where(self, lines: Mapping[str, int], key: str, what: str) -> Mistake:
        """Return a mistake in `key` of the component's table."""
        name = f"{self.table}.{key}"
        return Mistake(line=lines.get(name, lines.get(self.table, 0)), key=name, what=what)


def fields_of(cls: type[Any]) -> tuple[Field, ...]:
    """Return the fields of a component or of another annotated dataclass, in order."""
    key: Any = cls
    return declared_fields(key)


@functools.cache
def declared_fields(cls: Any) -> tuple[Field, ...]:
    """Return what `fields_of` returns, worked out once."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        field_of(field.name, hints[field.name], field.default) for field in dataclasses.fields(cls)
    )


def field_of(name: str, annotation: Any, default: Any) -> Field:
    """Return a field; its marks are taken out of its annotation."""
    marks: list[Any] = []
    if typing.get_origin(annotation) is Annotated:
        inner, *rest = typing.get_args(annotation)
        kinds = (Role, Choice, Word, KnownBy, OwnCode, Always)
        marks = [mark for mark in rest if isinstance(mark, kinds)]
        bounds = tuple(mark for mark in rest if not isinstance(mark, kinds))
        annotation = Annotated[inner, *bounds] if bounds else inner
    by_kind = {type(mark): mark for mark in marks}
    return Field(
        name=name,
        annotation=annotation,
        default=default,
        role=by_kind.get(Role, Role.SHAPE),
        choice=by_kind.get(Choice),
        word=by_kind[Word].text if Word in by_kind else "",
        known_by=by_kind[KnownBy].field if KnownBy in by_kind else "",
        source=by_kind[OwnCode].source if OwnCode in by_kind else "",
        is_always=Always in by_kind,
    )


def items_of(value: Component) -> Iterator[Item]:
    """Yield every field of a component with its value; a chosen component's follow its name."""
    for field in fields_of(type(value)):
        item = getattr(value, field.name)
        if field.choice is None:
            yield Item(value, field, item)
            continue
        yield Item(value, field, item.kind)
        yield from (inner for inner in items_of(item) if inner.field.name != "kind")


def meanings_of(cls: type[Any]) -> dict[str, str]:
    """Return the string under each field of a component, of its base classes too."""
    key: Any = cls
    return declared_meanings(key)


@functools.cache
def declared_meanings(cls: Any) -> dict[str, str]:
    """Return what `meanings_of` returns, worked out once."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        for node, below in itertools.pairwise(body_of(base)):
            if not (isinstance(node, ast.AnnAssign) and isinstance(below, ast.Expr)):
                continue
            if isinstance(node.target, ast.Name) and isinstance(below.value, ast.Constant):
                found[node.target.id] = " ".join(str(below.value.value).split())
    return found


def body_of(cls: Any) -> Sequence[ast.stmt]:
    """Return the statements of a class; none of one without a file, made at run time or typed in.

    Of a class of a module the module is parsed, once for all of its classes: Python's own search
    for the end of a class takes ten times as long.
    """
    try:
        module = sys.modules.get(cls.__module__)
        if module is not None and cls.__qualname__.isidentifier():
            declared = classes_in(inspect.getsourcefile(cls) or "", module)
            return declared[cls.__name__].body if cls.__name__ in declared else ()
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):
        return ()
    return tree.body if isinstance(tree, ast.ClassDef) else ()


@functools.cache
def classes_in(path: str, module: ModuleType) -> dict[str, ast.ClassDef]:
    """Return the classes of a module, by name, from its source."""
    tree = ast.parse("".join(linecache.getlines(path, vars(module))))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def first_line(cls: type[Any]) -> str:
    """Return the first line of a class' docstring."""
    return (cls.__doc__ or "").strip().splitlines()[0] if cls.__doc__ else ""


WORDS = {Ge: "at least {}", Gt: "above {}", Le: "at most {}", Lt: "below {}"}


def bound_words(annotation: Any) -> list[str]:
    """Return the bounds of an annotated type in words."""
    return [
        WORDS[type(mark)].format(f"{float(dataclasses.astuple(mark)[0]):g}")
        for mark in getattr(annotation, "__metadata__", ())
        if type(mark) in WORDS
    ]
