"""A component of the user's own: a class that a study file names as `package.module:Name`.

Its name and the hash of its source become fields of it, so that both count in a run's identity.
"""

import dataclasses
import inspect
from types import FunctionType
from typing import Annotated, Any, ClassVar, get_origin

from symstudy.components.component import component
from symstudy.components.own_code import load_own, source_of
from symstudy.components.roles import ALWAYS, Role
from symstudy.errors import ModelError

__all__ = ["adapt_class", "hidden_names", "load_own_class"]


def load_own_class(name: str, key: str, base: type[Any], source_field: str) -> type[Any]:
    """Return the user's own component called `name`, with its name and source among its fields.

    Args:
        name: Import path and name of the class, separated by a colon.
        key: Key of the study file that names it, for messages.
        base: Contract that it has to fulfil.
        source_field: Name of the field for the hash of its source.

    Raises:
        ModelError: If it cannot be imported, or does not fulfil the contract.
    """
    return adapt_class(load_own(name, key), name, key, base, source_field)


def adapt_class(found: Any, name: str, key: str, base: type[Any], source_field: str) -> type[Any]:
    """Return the object `found` behind `name` as a component; see `load_own_class`.

    Raises:
        ModelError: If it does not fulfil the contract.
    """
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ModelError(
            f"{key} must name a class that inherits {base.__module__}.{base.__name__}, but "
            f"{name!r} is {described(found)}. Write `class {name.rpartition(':')[2]}"
            f"({base.__name__}):`."
        )
    if "__dataclass_fields__" not in vars(found):
        raise ModelError(
            f"{key} must name a component, but {name!r} is none. Write `@component` (from "
            "symstudy.components import component) above the class."
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise ModelError(
            f"{key} must name a class that defines all of its contract, but {name!r} lacks "
            f"{missing}. See the docstrings of {base.__module__}.{base.__name__}."
        )
    if hidden := hidden_names(found, base):
        raise ModelError(
            f"{key} must name a class whose keys have names of their own, but {hidden[0]!r} of "
            f"{name!r} is something else in {base.__module__}.{base.__name__}. Rename it."
        )
    body = {
        "__annotations__": {"kind": str, source_field: Annotated[str, ALWAYS, Role.RESOLVED]},
        "__doc__": found.__doc__ or f"{name}, of the user's own.",
        "__module__": found.__module__,
        "__qualname__": found.__qualname__,
        "kind": name,
        source_field: source_of(name),
    }
    made: type[Any] = component(type(found.__name__, (found,), body))
    return made


def hidden_names(found: type[Any], base: type[Any]) -> list[str]:
    """Return the keys of a component that hide a property, method or constant of its contract.

    A field may stand for an abstract property: the contract then asks for it. A constant is what
    the contract annotates as `ClassVar`.
    """
    kept = {
        name
        for cls in base.__mro__
        for name, value in vars(cls).items()
        if isinstance(value, property | FunctionType | classmethod)
        if not getattr(value, "__isabstractmethod__", False)
    }
    for cls in base.__mro__:
        noted = inspect.get_annotations(cls)
        kept |= {name for name, kind in noted.items() if is_constant(kind)}
    return [field.name for field in dataclasses.fields(found) if field.name in kept]


def is_constant(annotation: object) -> bool:
    """Return whether an annotation is that of a constant of the class, `ClassVar`."""
    origin: object = get_origin(annotation)
    return annotation is ClassVar or origin is ClassVar


def described(found: Any) -> str:
    """Return what an object is, for a message."""
    if isinstance(found, type):
        bases = ", ".join(base.__name__ for base in found.__bases__)
        return f"a class of {bases}"
    return f"a {type(found).__name__}"
