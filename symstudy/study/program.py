"""The tables `[program]` and `[config]`: a training of the user's own that is one run.

A program is a function, `entry`, or a command. What it computes is known by its code and by its
hyperparameters, so both count in a run's identity.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge

from symstudy.components import Component, Role, component, looking_in, source_of
from symstudy.components.opened_files import content_hash
from symstudy.components.own_code import source_hash
from symstudy.components.own_modules import find_module, search_places
from symstudy.errors import nearest
from symstudy.study.entry import entry_mistake

__all__ = ["PLACEHOLDERS", "PYTHON", "Program", "ProgramSettings", "fill_word", "names_in"]

PLACEHOLDERS = ("seed", "device", "folder")
"""What a command may name in braces beside the keys of [config]."""
PYTHON = ("python", "python3")
"""As the first word of a command: the Python that runs symstudy, wherever that is."""
BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
LONGEST_NAME = 100


@component
class Program(Component):
    """A program of the user's own: each run calls its function, or is its command."""

    table: ClassVar[str] = "program"

    entry: str = ""
    """Function of one argument, the run, as "package.module:function"; beside the study file, in
    the working directory or installed. Exactly one of entry and command."""
    command: tuple[str, ...] = ()
    """Words of a command, as ["python", "train.py", "--lr={lr}", "--seed={seed}"]: names in braces
    are keys of [config], seed, device or folder."""
    env: tuple[str, ...] = ()
    """Environment variables, a table [program.env] of texts; they count in a run's identity."""
    timeout: Annotated[float, Ge(0), Role.LIMIT] = 0.0
    """Seconds without a report after which a run is ended and has failed; 0 for no limit."""
    retries: Annotated[int, Ge(0), Role.LIMIT] = 0
    """How often a run that fails is begun again at once; it has failed only after that."""
    steps: Annotated[int, Ge(0), Role.LIMIT] = 0
    """Step of the last report of a run, for progress and the rungs of [search.halt]; 0 if it is
    not known."""
    program_source: Annotated[str, Role.RESOLVED] = ""
    """What identifies the code of the function, or the files that the command names; found by
    itself."""

    def __post_init__(self) -> None:
        """Check that it is a function or a command.

        Raises:
            ValueError: If it is neither, or both.
        """
        if bool(self.entry) == bool(self.command):
            got = "both" if self.entry else "neither"
            raise ValueError(
                'exactly one of `program.entry` = "module:function" and `program.command` = '
                f'["python", "train.py"] must be given, but got {got}'
            )

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the program with what identifies its code, and what is wrong with its names."""
        key = "entry" if self.entry else "command"
        wrong = entry_mistake(self.entry) if self.entry else command_mistake(self.command)
        return replace(self, program_source=self.source()), [(key, wrong)] if wrong else []

    def source(self) -> str:
        """Return what identifies its code as it is now; see `program_source`."""
        if self.entry:
            return source_of(self.entry)
        texts = [f"{word}|{source_of_word(word)}" for word in source_words(self.command)]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest() if texts else ""

    def has_changed(self, home: Path) -> bool:
        """Return whether its code is another now than when the study was planned.

        Code that is not beside the study file or in the working directory has travelled here, or is
        installed: it is what it was.

        Args:
            home: Folder of the study file.
        """
        with looking_in(home):
            if self.entry:
                found = find_module(self.entry.partition(":")[0].partition(".")[0])
                path = found.path if found is not None else None
                is_here = path is not None and path.parent in search_places()
            else:
                is_here = any(find_file(word) is not None for word in self.command)
            return is_here and self.source() != self.program_source

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables by name."""
        pairs = (item.partition("=") for item in self.env)
        return {name: value for name, _, value in pairs}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that have to travel to workers, as `module:name`, or `module:` of a script."""
        if self.entry:
            return (self.entry,)
        pairs = zip(("", *self.command), self.command, strict=False)
        return tuple(
            f"{Path(word).stem if before != '-m' else word.partition('.')[0]}:"
            for before, word in pairs
            if before == "-m" or (word.endswith(".py") and Path(word).parent == Path())
        )


@component
class ProgramSettings(Component):
    """The hyperparameters of a program: keys that are free in name and type."""

    table: ClassVar[str] = "config"

    arguments: dict[str, Any] = field(default_factory=dict)
    """Values by dotted name."""


def source_words(command: tuple[str, ...]) -> Iterator[str]:
    """Yield the words of a command that name code: files beside the study, and modules after -m."""
    for before, word in zip(("", *command), command, strict=False):
        if before == "-m" or find_file(word) is not None:
            yield word


def source_of_word(word: str) -> str:
    """Return what identifies the code that a word of a command names."""
    path = find_file(word)
    if path is None:
        return source_of(word)
    if path.suffix == ".py":
        return source_hash(path)
    return content_hash(path)


def find_file(word: str) -> Path | None:
    """Return the file that a word of a command names, relative to the study file; None without."""
    if not word or "\0" in word or len(word) > 1000 or BRACES.search(word):
        return None
    return next((path for at in search_places() if (path := at / word).is_file()), None)


def command_mistake(command: tuple[str, ...]) -> str:
    """Return what is wrong with a command, apart from its names in braces; empty if nothing is."""
    first = command[0]
    if first not in PYTHON and find_file(first) is None and shutil.which(first) is None:
        return (
            f"must begin with a program that is there, but there is no {first!r} beside the study "
            "file or on PATH. Type its path"
        )
    for word in command[1:]:
        is_script = word.endswith((".py", ".sh")) and not word.startswith("-")
        if is_script and not BRACES.search(word) and find_file(word) is None:
            return f"must name files beside the study file, but there is no {word!r}"
    return ""


def names_in(command: tuple[str, ...]) -> Iterator[str]:
    """Yield the names in braces of a command's words."""
    for word in command:
        for match in BRACES.finditer(word):
            if match[1] is not None:
                yield match[1]


def fill_word(word: str, values: Mapping[str, Any]) -> str:
    """Return a word of a command with the values of its names in braces; `{{` is one brace."""

    def text(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else said(values[match[1]])

    return BRACES.sub(text, word)


def said(value: Any) -> str:
    """Return a value as a command has it: true and false, lists without spaces."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(map(said, value)) + "]"
    return str(value)


def unknown_names(command: tuple[str, ...], keys: list[str]) -> Iterator[str]:
    """Yield what is wrong with each name in braces that is no key."""
    known = [*keys, *PLACEHOLDERS]
    for name in dict.fromkeys(names_in(command)):
        if name not in known:
            close = nearest(name, known)
            hint = f" Did you mean {{{close[0]}}}?" if close else ""
            yield (
                f"must name keys of [config], {', '.join(PLACEHOLDERS)} in braces, but got "
                f"{{{name}}}.{hint} Braces of the command's own are written twice: {{{{"
            )
