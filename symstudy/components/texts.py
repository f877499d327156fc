"""The canonical JSON of a component: its identity, all of it, and what fixes a pack's shape."""

from typing import Any, NamedTuple

from symstudy.components.component import Component, Item, items_of
from symstudy.components.roles import Role
from symstudy.identity import canonical_json

__all__ = ["Texts", "texts_of"]

OUTSIDE_IDENTITY = (Role.WRITTEN,)
OUTSIDE_SHAPE = (Role.LANE, Role.DATA, Role.WRITTEN, Role.LIMIT)


class Texts(NamedTuple):
    """Canonical JSON of one table.

    Attributes:
        identity: Fields that differ from their defaults: a new field with a default that keeps old
            behaviour keeps old identifiers.
        full: All fields.
        shape: Fields that fix shapes and control flow of a pack.
    """

    identity: str
    full: str
    shape: str


def texts_of(value: Component) -> Texts:
    """Return the canonical JSON of a table."""
    identity: dict[str, Any] = {}
    full: dict[str, Any] = {}
    shape: dict[str, Any] = {}
    for item in items_of(value):
        field = item.field
        if field.role in OUTSIDE_IDENTITY:
            continue
        full[field.name] = item.value
        if identifies(item):
            identity[field.name] = item.value
        if field.role is Role.SWITCH:
            shape[field.name] = bool(item.value)
        elif field.role not in OUTSIDE_SHAPE:
            shape[field.name] = item.value
    return Texts(canonical_json(identity), canonical_json(full), canonical_json(shape))


def identifies(item: Item) -> bool:
    """Return whether identity counts a field with its value."""
    field = item.field
    if field.role is Role.LIMIT:
        return False
    if field.name == "kind" or field.is_always:
        return True
    if field.known_by and getattr(item.owner, field.known_by):
        # What lies at an address is known by its content, wherever it is.
        return False
    if field.choice is not None:
        return bool(item.value != field.choice.omit)
    return bool(item.value != field.default)
