"""Keys of a study file that none of its runs reads."""

from collections.abc import Iterator, Mapping, Sequence

from symstudy.components import field_names, fields_of, load_all
from symstudy.errors import Mistake
from symstudy.study.cell import Cell, different_tables
from symstudy.study.train import Train

__all__ = ["unread_mistakes"]


def unread_mistakes(
    written: Sequence[str], cells: Sequence[Cell], lines: Mapping[str, int]
) -> Iterator[Mistake]:
    """Yield a mistake for each key that a study sets and no cell of it reads.

    A key of another optimiser, loss or schedule than that of a cell is passed over there, so that a
    study can vary both; where no cell has what reads it, it would do nothing without a word.

    Args:
        written: Dotted names of the keys that are given, swept or derived.
        cells: All cells of the study.
        lines: Line of each dotted key.
    """
    yield from idle_mistakes(written, cells, lines)
    trains = [table for table in different_tables(cells) if table.table == Train.table]
    if not trains:
        return
    parts = [
        getattr(train, field.name)
        for train in trains
        for field in fields_of(Train)
        if field.choice is not None
    ]
    read = {name for cls in (Train, *map(type, parts)) for name in field_names(cls)}
    for name in dict.fromkeys(written):
        table, _, key = name.partition(".")
        if table != "train" or key in read:
            continue
        line = lines.get(f"sweep.{name}", lines.get(name, lines.get("train", 0)))
        yield Mistake(line=line, key=name, what=f"must be read by some run. {remedy(key)}")


def idle_mistakes(
    written: Sequence[str], cells: Sequence[Cell], lines: Mapping[str, int]
) -> Iterator[Mistake]:
    """Yield a mistake for each key that every cell passes over for want of another key."""
    every = different_tables(cells)
    for name in dict.fromkeys(written):
        head, _, key = name.partition(".")
        tables = [table for table in every if table.table == head]
        others = {type(table).idle_without.get(key) for table in tables}
        named = sorted(other for other in others if other is not None)
        if not tables or len(named) < len(others):
            continue
        defaults = {
            field.name: field.default for cls in map(type, tables) for field in fields_of(cls)
        }
        if any(getattr(table, other) != defaults[other] for table in tables for other in named):
            continue
        line = lines.get(f"sweep.{name}", lines.get(name, lines.get(head, 0)))
        needed = " or ".join(f"{head}.{other}" for other in named)
        what = f"must be read by some run, but none sets {needed}: leave it out, or set that"
        yield Mistake(line=line, key=name, what=what)


def remedy(key: str) -> str:
    """Return what has a key, and what to do about it."""
    homes = [
        f"train.{field.name} = {kind!r}"
        for field in fields_of(Train)
        if field.choice is not None
        for kind, cls in load_all(field.choice.group).items()
        if key in field_names(cls)
    ]
    told = f"It is a key of {' and '.join(homes)}, which no run has" if homes else "No run has it"
    return f"{told}: leave it out, or choose what reads it"
