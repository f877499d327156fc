"""Events of a launch, and the callables that listen to them.

A launch tells one list of listeners what happens. A listener is any callable that takes an event
and passes over the kinds that it does not know, so a new kind of event is one class in this file.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from symstudy.launch.messages import PackReport
from symstudy.launch.source import PackAssignment
from symstudy.store.files.folder import StudyFolder
from symstudy.study.packs import Pack

__all__ = [
    "Event",
    "LaunchEnded",
    "LaunchPlanned",
    "Listener",
    "PackEnded",
    "PackLost",
    "PackProgressed",
    "PackRetried",
    "PackStarted",
    "PacksPlanned",
    "PairsMeasured",
    "to_all",
]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a launch; the base of all kinds, never told itself."""


@dataclass(frozen=True, kw_only=True)
class LaunchPlanned(Event):
    """The packs of a launch are planned and about to be trained; told once, before all others.

    Attributes:
        folder: Folder of the study.
        planned: Number of runs of the study, or the most that its search may ask for.
        ended: Number of those runs that ended in earlier launches.
        packs: Packs to train; of a search the first of them.
        workers: Number of packs that train at the same time.
        device: Device of the workers: `cpu`, `cuda`, or `none` if nothing is left to train.
        notes: Messages for the user, such as what was repaired.
    """

    folder: StudyFolder
    planned: int
    ended: int
    packs: tuple[Pack, ...] = ()
    workers: int = 0
    device: str = "none"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PacksPlanned(Event):
    """A search has planned another batch of packs.

    Attributes:
        packs: Packs of the batch.
    """

    packs: tuple[Pack, ...]


@dataclass(frozen=True, kw_only=True)
class PackStarted(Event):
    """A pack was handed to a worker.

    Attributes:
        assignment: The pack and what the worker needs to find it.
    """

    assignment: PackAssignment


@dataclass(frozen=True, kw_only=True)
class PackProgressed(Event):
    """A worker reported the progress of its pack.

    Attributes:
        pack_id: Identifier of the pack.
        run_steps: Optimiser steps taken so far, summed over its runs.
    """

    pack_id: str
    run_steps: int


@dataclass(frozen=True, kw_only=True)
class PackEnded(Event):
    """A worker has finished with a pack: its rows are in the store, or it was paused.

    Attributes:
        report: Counts of its runs by outcome, and why it was paused if it was.
    """

    report: PackReport


@dataclass(frozen=True, kw_only=True)
class PackRetried(Event):
    """A worker died; its pack is trained again, from its last checkpoint.

    Attributes:
        pack_id: Identifier of the pack.
    """

    pack_id: str


@dataclass(frozen=True, kw_only=True)
class PackLost(Event):
    """A pack was given up after too many of its workers died; its runs stay missing.

    Attributes:
        pack_id: Identifier of the pack.
    """

    pack_id: str


@dataclass(frozen=True, kw_only=True)
class PairsMeasured(Event):
    """Some pairs of runs were compared and written; told after all packs have ended.

    Attributes:
        pairs: Number of them.
        left: Number of pairs still to compare.
        left_out: Number of pairs that cannot be compared: a run of each has kept no activations.
    """

    pairs: int
    left: int
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class LaunchEnded(Event):
    """A launch has ended without an error; told once, after all others.

    Attributes:
        stopped: Why it was stopped before all runs had ended; empty if it was not.
    """

    stopped: str = ""


Listener = Callable[[Event], None]
"""A callable that is told of every event. What it raises ends the launch."""


def to_all(listeners: Iterable[Listener]) -> Listener:
    """Return a listener that passes each event to all `listeners` in order, one event at a time.

    Events come from the launcher's thread and, in a search, from the thread that plans batches.
    """
    told = tuple(listeners)
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            for listener in told:
                listener(event)

    return tell
