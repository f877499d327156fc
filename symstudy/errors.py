"""Errors that users of symstudy may see.

`SymstudyError` is the base of all. Its branch `UserError` holds what the user can mend: the command
line prints such a message alone and exits with 2, while any other exception keeps its traceback.
Each class also inherits the builtin exception that a Python caller would expect.

A message says what must hold, what was given and where, then what to type::

    `train.steps` must be at least 1, but got 0 (studies/smoke.toml:14).
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class SymstudyError(Exception):
    """Base of every error that symstudy raises on purpose."""


class UserError(SymstudyError):
    """Something the user can mend; shown without a traceback."""


class UnknownNameError(UserError, LookupError):
    """A name that is not among those known."""


class StoreError(UserError, OSError):
    """A results folder that cannot be read, written or trusted."""


class QueryError(UserError, ValueError):
    """SQL that cannot be run on a store."""


class LaunchError(UserError, RuntimeError):
    """A study that cannot be launched as asked."""


class ChangedError(LaunchError):
    """Code or data that are no longer what a study was planned with: no repetition mends it."""


class ModelError(UserError, TypeError):
    """A model that cannot be trained in a pack."""


class DataError(UserError, ValueError):
    """A data set that cannot be read, or is not what its table says."""

    def __init__(self, key: str, what: str) -> None:
        """Say `what` must hold for the key `key` of the table `[data]`."""
        self.key = key
        self.what = what
        super().__init__(f"data.{key} {what}")


class AbsentDataError(DataError):
    """A well-known data set whose files are not on this machine, nor to be downloaded."""


class ProjectError(UserError, LookupError):
    """No project, or no analysis in it, where one is needed."""


@dataclass(frozen=True, kw_only=True, order=True)
class Mistake:
    """One thing wrong with a study file.

    Attributes:
        line: 1-based line in the file; 0 where the value did not come from a file.
        key: Dotted key, such as `train.steps`.
        what: What must hold and what was given, with a remedy.
    """

    line: int
    key: str
    what: str


class StudyFileError(UserError, ValueError):
    """All mistakes of one study file, sorted by line and raised once."""

    def __init__(self, source: str, mistakes: Iterable[Mistake]) -> None:
        """Render `mistakes` found in the file (or command) called `source`."""
        self.source = source
        self.mistakes = tuple(sorted(set(mistakes)))
        count = len(self.mistakes)
        head = f"{source}: {count} mistake{'' if count == 1 else 's'}"
        rows = [
            f"  {source}:{mistake.line}: {mistake.key}: {mistake.what}"
            if mistake.line
            else f"  {mistake.key}: {mistake.what}"
            for mistake in self.mistakes
        ]
        super().__init__("\n".join([head, *rows]))


def nearest(name: str, options: Iterable[str]) -> list[str]:
    """Return up to three of `options` that look like `name`, the nearest first."""
    return difflib.get_close_matches(name, list(options), n=3, cutoff=0.5)


def choices(name: str, options: Sequence[str]) -> str:
    """Return the sentence that names the nearest of `options` first, then all of them."""
    close = nearest(name, options)
    lead = f"Did you mean {close[0]!r}? " if close else ""
    return f"{lead}Known: {', '.join(options)}."


def unknown_name(what: str, name: str, options: Sequence[str]) -> UnknownNameError:
    """Return the error for a `name` of a `what` (model, claim, ...) that is not in `options`."""
    return UnknownNameError(
        f"{what} must be one of the known names, but got {name!r}. {choices(name, options)}"
    )
