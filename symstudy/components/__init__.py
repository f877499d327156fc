"""Components: what a study file can name, each declared once where it is implemented.

Importing this package loads no torch.
"""

from symstudy.components.check import check_table, field_names
from symstudy.components.component import (
    Component,
    Field,
    component,
    fields_of,
    first_line,
    items_of,
)
from symstudy.components.own_code import changed_source, load_own, source_of
from symstudy.components.own_component import adapt_class, load_own_class
from symstudy.components.own_modules import looking_in
from symstudy.components.reference import Key, keys_of, keys_of_group
from symstudy.components.registry import GROUPS, Entry, entries_of, find_component, load_all
from symstudy.components.roles import ALWAYS, Choice, KnownBy, OwnCode, Role, Word
from symstudy.components.sizes import DataShape, NetworkSize
from symstudy.components.texts import Texts, texts_of

__all__ = [
    "ALWAYS",
    "GROUPS",
    "Choice",
    "Component",
    "DataShape",
    "Entry",
    "Field",
    "Key",
    "KnownBy",
    "NetworkSize",
    "OwnCode",
    "Role",
    "Texts",
    "Word",
    "adapt_class",
    "changed_source",
    "check_table",
    "component",
    "entries_of",
    "field_names",
    "fields_of",
    "find_component",
    "first_line",
    "items_of",
    "keys_of",
    "keys_of_group",
    "load_all",
    "load_own",
    "load_own_class",
    "looking_in",
    "source_of",
    "texts_of",
]
