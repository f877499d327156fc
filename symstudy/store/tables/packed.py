"""Scans that ask for chosen runs read the files of their packs, and no others.

Neither DuckDB nor Arrow knows which file a run is in: without this, one run's learning curve takes
as long as the history of all runs. DuckDB hands each scan the conditions on its own columns; where
these name runs, the packs of those runs are known from the keys in memory.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from symstudy.store.files.parts import stem_of

__all__ = ["PACKED", "PackedDataset", "packed_dataset", "packs_of", "paths_of_packs"]

PACKED = ("runs", "history", "layers", "representations")
"""Tables each of whose files is a pack's, or was merged of some."""
IDENTIFIER = r'"([0-9a-f]+)"'
EQUAL = re.compile(rf"\(run_id == {IDENTIFIER}\)")
AMONG = re.compile(
    r"if_else\(is_valid\(run_id\), is_in\(run_id, \{value_set=string:"
    rf"(?P<values>\[\s*{IDENTIFIER}(?:,\s*{IDENTIFIER})*\s*\])"
    r", null_matching_behavior=MATCH\}\), null\[bool\]\)"
)
OPEN, CLOSE = "([{", ")]}"

Parts = Callable[[Collection[str]], Sequence[ds.Dataset]]


@final
class PackedDataset(ds.UnionDataset):  # type: ignore[misc]  # pyarrow has no types
    """The files of a table, of which a scan reads those that its runs may be in.

    Attributes:
        parts_of: From identifiers of runs to the files that may hold rows of them.
    """

    parts_of: Parts

    def scanner(self, *args: Any, **options: Any) -> ds.Scanner:
        """Return a scan, as Arrow does; DuckDB calls it with the conditions of the scan."""
        runs = chosen_runs(str(options.get("filter")))
        if runs is None:
            return super().scanner(*args, **options)
        parts = list(self.parts_of(runs))
        chosen = ds.UnionDataset(self.schema, parts) if parts else no_rows(self.schema)
        return chosen.scanner(*args, **options)


def packed_dataset(schema: pa.Schema, parts: Sequence[ds.Dataset], parts_of: Parts) -> ds.Dataset:
    """Return the files of a table, of which a scan reads those that its runs may be in.

    Args:
        schema: Columns of all parts.
        parts: The files.
        parts_of: From identifiers of runs to the files that may hold rows of them.
    """
    dataset = PackedDataset(schema, list(parts))
    dataset.parts_of = parts_of
    return dataset


def no_rows(schema: pa.Schema) -> ds.Dataset:
    """Return a table without rows."""
    return ds.InMemoryDataset(schema.empty_table())


def chosen_runs(condition: str) -> tuple[str, ...] | None:
    """Return the runs outside of which a condition holds nowhere; None where it names none.

    Args:
        condition: As Arrow writes it. What is not understood names no runs, so nothing is lost.
    """
    if found := EQUAL.fullmatch(condition):
        return (found[1],)
    if found := AMONG.fullmatch(condition):
        return tuple(re.findall(IDENTIFIER, found["values"]))
    for part in both_sides(condition):
        if (runs := chosen_runs(part)) is not None:
            return runs
    return None


def both_sides(condition: str) -> tuple[str, ...]:
    """Return the two conditions of `(one and other)`; none of anything else."""
    if not (condition.startswith("(") and condition.endswith(")")):
        return ()
    inner, depth, is_text, place = condition[1:-1], 0, False, 0
    while place < len(inner):
        char = inner[place]
        if is_text:
            # What is escaped within a text is no end of it.
            place += char == "\\"
            is_text = char != '"'
        elif char == '"':
            is_text = True
        elif char in OPEN:
            depth += 1
        elif char in CLOSE:
            depth -= 1
        elif depth == 0 and inner.startswith(" and ", place):
            return inner[:place], inner[place + len(" and ") :]
        place += 1
    return ()


def packs_of(keys: pa.Table, runs: Collection[str]) -> set[str]:
    """Return the packs that some runs have rows in.

    Args:
        keys: The columns run_id and pack_id of the runs of a study.
        runs: Identifiers.
    """
    wanted = pc.is_in(keys["run_id"], value_set=pa.array(list(runs), pa.string()))
    return set(keys["pack_id"].filter(wanted).to_pylist())


def paths_of_packs(keys: pa.Table, paths: Iterable[str], packs: Collection[str]) -> list[str]:
    """Return the files that may hold rows of some packs: their own, else those that were merged.

    Args:
        keys: The column pack_id of the runs of a study.
        paths: The files of one table of the study.
        packs: Identifiers.
    """
    own = {stem_of(path): path for path in paths}
    found = [own[pack] for pack in packs if pack in own]
    if len(found) == len(packs):
        return found
    known = set(keys["pack_id"].to_pylist())
    return [*found, *(path for stem, path in own.items() if stem not in known)]
