"""What a field of a component says of itself besides its type: marks inside `Annotated`.

width: Annotated[int, Ge(1)] = 64                       # fixes shapes: the default role
init_scale: Annotated[float, Gt(0), Role.LANE] = 1.0    # a number a lane
path: Annotated[str, KnownBy("content")]                # an address; identity is its content
stop: Annotated[str, OwnCode("stop_source")] = ""       # a function of the user's own
optimizer: Annotated[AbstractOptimizer, Choice("optimizers", default="adam")]
"""

from dataclasses import dataclass
from enum import Enum

__all__ = ["ALWAYS", "Always", "Choice", "KnownBy", "OwnCode", "Role", "Word"]


class Role(Enum):
    """How the runs of a pack may differ in a field."""

    SHAPE = "fixes shapes and control flow: the runs of a pack agree on it"
    LANE = "a number a lane: the runs of a pack may differ in it"
    DATA = "changes the data alone: the runs of a pack may differ in it"
    SWITCH = "a number a lane, of which only whether it is 0 fixes the control flow"
    WRITTEN = "another way to write a field; worked out when a study is read, no part of identity"
    LIMIT = "how long or how often a run may be tried; no part of identity, and no column"
    RESOLVED = "worked out when a study is read; no key of a study file"


@dataclass(frozen=True)
class Choice:
    """The field names another component; that component's own keys stand in the same table.

    Attributes:
        group: Group of components, such as `optimizers`.
        default: Name that holds where none is given.
        omit: Name that identity leaves out, so that adding the field changed no identifier.
    """

    group: str
    default: str
    omit: str = ""


@dataclass(frozen=True)
class Word:
    """A word that a study file may have in place of a number.

    Attributes:
        text: The word, such as `full`.
    """

    text: str


@dataclass(frozen=True)
class KnownBy:
    """The field is an address: identity counts what another field says is found there.

    Attributes:
        field: The field with the content, once it is known.
    """

    field: str


@dataclass(frozen=True)
class OwnCode:
    """The field is an import path of the user's own function; identity counts its source too.

    Attributes:
        source: The field with the hash of its source, worked out when a study is read.
    """

    source: str


@dataclass(frozen=True)
class Always:
    """Identity counts the field even where it has its default."""


ALWAYS = Always()
