"""What benchmarks measure, printed, and written into the documents between markers.

A document has `<!-- measured: NAME -->` and `<!-- /measured -->`, and what is between them is
written by the benchmark of that name when `make bench-docs` runs it: a table on lines of its own,
or words within a line. The first marker then tells the day, the commit, and a hash of the code that
was measured, by which `run.py --stale` knows figures that are older than the code.
"""

import datetime
import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

__all__ = ["MEASURED", "WRITING", "Place", "code_hash", "places", "stale", "table", "tell"]

ROOT = Path(__file__).parents[2]
WRITING = "SYMSTUDY_BENCH_DOCS"
"""Environment variable: 1 where the documents are written."""

NUMERICS = ("kernels", "models", "losses", "optimizers", "training")
MEASURED: dict[str, tuple[str, ...]] = {
    "one_process": NUMERICS,
    "through_ray": (*NUMERICS, "launch", "store"),
    "driver": ("launch", "store"),
    "store": ("store", "study"),
    "minimiser": ("kernels", "training"),
    "padding": ("training", "study"),
    "transformer": NUMERICS,
    "convolution": NUMERICS,
    "own_dense": NUMERICS,
    "measures": ("kernels", "measures", "symmetry", "training"),
}
"""Packages that a benchmark measures, by the file that runs it."""

BEGIN = re.compile(r"<!-- measured: (\w+)(?:\.(\w+))?(?:; [^>]*?(?:; code (\w+))?)? -->")
END = "<!-- /measured -->"


class Place(NamedTuple):
    """Where a document has figures.

    Attributes:
        document: Path below the root of the repository.
        benchmark: What measures them.
        part: Which of its figures; empty where it has one.
        code: Hash of the code that was measured; empty for figures that were never written.
        start: Where the first marker begins in the text.
        inner: Where the figures begin.
        stop: Where they end.
    """

    document: str
    benchmark: str
    part: str
    code: str
    start: int
    inner: int
    stop: int

    @property
    def name(self) -> str:
        """Name of the figures, as a benchmark tells it."""
        return f"{self.benchmark}.{self.part}" if self.part else self.benchmark


def documents() -> list[Path]:
    """Return all documents of the repository."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def places(path: Path) -> list[Place]:
    """Return the places of a document that have figures, in order.

    Raises:
        ValueError: If a first marker has no second one.
    """
    text = path.read_text(encoding="utf-8")
    found = []
    for match in BEGIN.finditer(text):
        stop = text.find(END, match.end())
        if stop < 0:
            raise ValueError(f"{path}: {match.group(0)} must be followed by {END}")
        found.append(
            Place(
                str(path.relative_to(ROOT)),
                match.group(1),
                match.group(2) or "",
                match.group(3) or "",
                match.start(),
                match.end(),
                stop,
            )
        )
    return found


def code_hash(benchmark: str) -> str:
    """Return a hash of the code that a benchmark measures, its own file included."""
    paths = [Path(__file__).parent / f"{benchmark}.py"]
    for package in MEASURED[benchmark]:
        paths += sorted((ROOT / "symstudy" / package).rglob("*.py"))
    found = hashlib.blake2b(digest_size=5)
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()


def stale() -> dict[str, list[str]]:
    """Return the benchmarks whose figures are older than the code, with the documents."""
    found: dict[str, list[str]] = {}
    for path in documents():
        for place in places(path):
            if place.code != code_hash(place.benchmark):
                found.setdefault(place.benchmark, []).append(place.document)
    return {name: sorted(set(where)) for name, where in found.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table: the first column to the left, numbers to the right."""
    rules = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, rules, *[[str(item) for item in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tell(name: str, text: str) -> None:
    """Print figures, and write them where the documents have them if that was asked for.

    Args:
        name: Name of the benchmark, or `benchmark.part` for one of several.
        text: A table, or words without a line break for a place within a line.

    Raises:
        ValueError: If no document has a place for them.
    """
    print(f"{name}:\n{text}\n", flush=True)
    if os.environ.get(WRITING) != "1":
        return
    written = [path for path in documents() if write(path, name, text)]
    if not written:
        raise ValueError(f"a document must have <!-- measured: {name} -->, but none has")


def write(path: Path, name: str, text: str) -> bool:
    """Write figures into a document; return whether it has a place for them."""
    found = [place for place in places(path) if place.name == name]
    for place in reversed(found):
        whole = path.read_text(encoding="utf-8")
        is_line = "\n" not in whole[place.inner : place.stop]
        figures = text if is_line else f"\n{text}\n\n{stamp()}\n"
        code = code_hash(place.benchmark)
        begin = f"<!-- measured: {name}; {today()}, {commit()}; code {code} -->"
        path.write_text(
            whole[: place.start] + begin + figures + whole[place.stop :], encoding="utf-8"
        )
    return bool(found)


def stamp() -> str:
    """Return when and where something was measured, as a line of a document."""
    names = ("torch", "numba")
    libraries = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in names)
    return f"*{today()}, commit {commit()}, {machine()}, {libraries}: `make bench-docs`.*"


def today() -> str:
    """Return the day."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def commit() -> str:
    """Return the commit of the code, with a plus where files differ from it."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> str:
    """Return the processor of this machine and how many of its cores there are."""
    cores = len(os.sched_getaffinity(0))
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    name = re.search(r"model name\s*: (.*)", text)
    words = re.sub(r"\((R|TM)\)", "", name.group(1)) if name else "a processor"
    wide = " with AVX-512" if "avx512f" in text else ""
    return f"{cores} shared cores of {' '.join(words.split())}{wide}"
