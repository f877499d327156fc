"""The code that decides a claim: everything that its rule reaches, for the rule's hash.

Names are followed through the file of the claim, the files of its own package, and the packages of
symstudy that decide. Of a module that is used as `tests.sign_p` that name is followed, of one that
is handed on as a whole all of them. What cannot be followed is what is looked up by a text while
the program runs, and packages of others: their versions are with the launches of a study.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, final

from symstudy.findings.modules import Import, Module, Statement, read_module

__all__ = ["deciding_code", "read_text"]

PACKAGE = Path(__file__).parents[1]
FOLLOWED = (
    ("symstudy", "findings"),
    ("symstudy", "statistics"),
    ("symstudy", "theory"),
    ("symstudy", "symmetry", "thresholds"),
)
"""Packages of symstudy whose functions decide; the store is told of by its views, plots draw."""
REGISTRATION = frozenset({"claim", "SeedTest"})
"""Names of the package that declare and plan, and decide nothing."""

Reader = Callable[[Path], str]


def read_text(path: Path) -> str:
    """Return the source of a module."""
    return path.read_text(encoding="utf-8")


class Place(NamedTuple):
    """Where a module lies.

    Attributes:
        root: Folder of the outermost package that it is in.
        words: Its dotted name below that package; none for the package itself.
        path: Its file; None for source that is in no file.
    """

    root: Path
    words: tuple[str, ...]
    path: Path | None

    @property
    def label(self) -> str:
        """Name in the hashed text: the same wherever the project lies and whatever its name is."""
        head = ("symstudy",) if self.root == PACKAGE else ()
        return ".".join((*head, *self.words))

    @property
    def package(self) -> tuple[str, ...]:
        """Dotted name below the outermost package of the package that the module is in."""
        is_package = self.path is not None and self.path.name == "__init__.py"
        return self.words if is_package else self.words[:-1]


def deciding_code(
    source: str,
    path: Path | None = None,
    names: Sequence[str] = ("judge", "measure"),
    read: Reader = read_text,
) -> str:
    """Return all that `names` of a module reach, without comments and docstrings.

    Args:
        source: Text of the module.
        path: Path of the module's file; without one, relative imports are not followed.
        names: Functions that decide.
        read: From the path of another module to its text.
    """
    follower = Follower(read)
    place = place_of(path)
    module = read_module(source)
    for name in names:
        follower.follow(module, place, name, "")
    return "\n".join(f"{key}={follower.reached[key]}" for key in sorted(follower.reached))


def place_of(path: Path | None) -> Place:
    """Return where the file of a module lies."""
    if path is None:
        return Place(Path("/nowhere"), ("",), None)
    words = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and (folder.parent / "__init__.py").is_file():
        words.insert(0, folder.name)
        folder = folder.parent
    return Place(folder, tuple(words), path)


@final
class Follower:
    """Collects the statements that names reach.

    Attributes:
        reached: Text of the statements of each name, by module and name.
    """

    def __init__(self, read: Reader) -> None:
        """Reach nothing yet.

        Args:
            read: From the path of a module to its text.
        """
        self.read = read
        self.reached: dict[str, str] = {}
        self.seen: set[tuple[str, str, str]] = set()

    def follow(self, module: Module, place: Place, name: str, taken: str) -> None:
        """Reach a name of a module, of which attributes `taken` are taken."""
        key = (place.label, name, taken)
        if key in self.seen:
            return
        self.seen.add(key)
        if name not in module.names:
            for star in module.stars:
                self.follow_import(Import(star, name), taken, place)
            return
        statements = module.names[name]
        self.reached[f"{place.label}:{name}"] = "\n".join(each.code for each in statements)
        for statement in statements:
            self.follow_statement(module, place, statement, name, taken)

    def follow_statement(
        self, module: Module, place: Place, statement: Statement, name: str, taken: str
    ) -> None:
        """Reach what a statement uses, and what it imports."""
        if name in statement.imports:
            self.follow_import(statement.imports[name], taken, place)
        for used, attributes in statement.uses:
            if used in statement.imports:
                self.follow_import(statement.imports[used], attributes, place)
            else:
                self.follow(module, place, used, attributes)

    def follow_import(self, found: Import, taken: str, place: Place) -> None:
        """Reach what is imported, where its module is one that is followed."""
        dots = len(found.module) - len(found.module.lstrip("."))
        words = [word for word in found.module.lstrip(".").split(".") if word]
        path = [*([found.original] if found.original else []), *filter(None, taken.split("."))]
        root = place.root
        if dots:
            if place.path is None or dots - 1 > len(place.package):
                return
            words = [*place.package[: len(place.package) - (dots - 1)], *words]
        elif words[0] == "symstudy":
            if found.original in REGISTRATION:
                return
            root, words = PACKAGE, words[1:]
        elif words[0] == place.root.name and place.path is not None:
            words = words[1:]
        else:
            return
        self.follow_path(root, words, path)

    def follow_path(self, root: Path, words: Sequence[str], path: Sequence[str]) -> None:
        """Reach what a path of names stands for: modules first, then a name of the last one.

        Args:
            root: Folder of the outermost package.
            words: Dotted name of a module below it.
            path: Names that are taken of it, one of the other.
        """
        place = Place(root, tuple(words), module_file(root.joinpath(*words)))
        module = Module({}, ())
        if place.path is not None and is_followed(place):
            module = read_module(self.read(place.path))
        if path and path[0] not in module.names:
            inside = (*words, path[0])
            if module_file(root.joinpath(*inside)) is not None or root.joinpath(*inside).is_dir():
                self.follow_path(root, inside, path[1:])
                return
        for name in path[:1] or list(module.names):
            self.follow(module, place, name, ".".join(path[1:]))


def is_followed(place: Place) -> bool:
    """Return whether the names of a module are followed."""
    name = ("symstudy", *place.words)
    return place.root != PACKAGE or any(name[: len(each)] == each for each in FOLLOWED)


def module_file(stem: Path) -> Path | None:
    """Return the file of a module or package, given its path without suffix."""
    for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None
