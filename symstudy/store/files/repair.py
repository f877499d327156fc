"""Making damaged results whole again: what cannot be read is set aside and named, never deleted.

Each step leaves a state that the next call mends, wherever it is broken off: what replaces a file
is written before the file is set aside, and of a pack the runs go first, since with them it counts.
"""

import time
import uuid
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from symstudy.components.own_modules import named_by_results
from symstudy.store.files.checkpoints import mend_checkpoints
from symstudy.store.files.cleaning import clean
from symstudy.store.files.compaction import GRACE_S
from symstudy.store.files.folder import STUDY_COPY, STUDY_FILE, StudyFolder, plan_version
from symstudy.store.files.generations import next_name, to_change, write_generation
from symstudy.store.files.lock import locked
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.parts import OPTIONAL_TABLES, PACK_TABLES, PLAN_TABLES, Part, stem_of
from symstudy.store.files.recovery import mend_generation
from symstudy.store.files.salvage import salvage
from symstudy.store.files.sealed import find_broken
from symstudy.store.files.version_4 import MERGED_PREFIX
from symstudy.store.tables.cells import cells_table, write_cells
from symstudy.store.tables.completeness import has_all_rows, incomplete_runs
from symstudy.store.tables.connection import Store
from symstudy.store.tables.dropping import keep_rows
from symstudy.store.tables.pairs_record import lacking_pairs
from symstudy.store.tables.plan_record import read_plan_loss
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import CELLS, PACKS, PAIRS, PLAN, RUNS
from symstudy.store.tables.settling import drop_rows
from symstudy.store.tables.version_4 import migrate
from symstudy.store.tables.writer import utc_now, write_plan
from symstudy.study.cell import Run
from symstudy.study.expand import read_cell

__all__ = ["repair"]

AGAIN = "its runs are trained again"
PAIR = ("run_a", "run_b", "pair_settings")
"""Columns that say which pair a row is of."""


def repair(folder: StudyFolder) -> list[str]:
    """Set damaged files of a study aside, and make again what can be made again.

    Runs whose rows are lost count as missing then, and the next launch trains them.

    Returns:
        What was done, in sentences.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    with locked(folder):
        notes = [
            *mend_study(folder),
            *mend_generation(folder),
            *mend_packs(folder),
            *mend_plan(folder),
            *migrate(folder),
            *mend_cells(folder),
            *mend_pair_files(folder),
            *mend_rows(folder),
            *mend_pairs(folder),
            *mend_orders(folder),
            *mend_checkpoints(folder),
        ]
        # What a compaction has left for later.
        clean(folder, to_change(folder), before=time.time() - GRACE_S)
    return notes


def mend_study(folder: StudyFolder) -> list[str]:
    """Make `study.json` whole from its copy, or from the plan."""
    if folder.read_sound_study(STUDY_FILE) is not None:
        return []
    path = folder.join(STUDY_FILE)
    values = folder.read_sound_study(STUDY_COPY)
    source = "made again from its copy"
    if values is None:
        values = {
            "schema_version": plan_version(folder),
            "name": name_of_rows(folder),
            "title": name_of_rows(folder),
            "description": "",
            "claims": [],
            "swept": [],
            "preset": None,
            "rules": {},
            "launches": [],
        }
        source = "made again from the plan, without the rules that were frozen in it"
    is_there = folder.has_file(STUDY_FILE)
    if is_there:
        folder.write_bytes(folder.read_bytes(STUDY_FILE), f"{STUDY_FILE}.damaged")
    folder.write_study(values)
    how = "damaged and is set aside" if is_there else "missing"
    return [f"{path} was {how}; it is {source}"]


def name_of_rows(folder: StudyFolder) -> str:
    """Return the study's name as its plan has it, or else the folder's."""
    for path in folder.list_files(PLAN.name, ".parquet"):
        if folder.is_sound(path):
            names = pq.read_table(path, columns=["study"], filesystem=folder.filesystem)["study"]
            if len(names):
                return str(names[0])
    return folder.place


def mend_packs(folder: StudyFolder) -> list[str]:
    """Set aside what is damaged of packs, merged or not; a pack goes with any of its tables."""
    notes: list[str] = []
    checked: set[str] = set()
    while True:
        listing = list_tables(folder, PACK_TABLES)
        paths = [info.path for infos in listing.files.values() for info in infos]
        fresh = [path for path in paths if path not in checked]
        broken = find_broken(folder.is_sound, fresh)
        checked.update(set(fresh) - set(broken))
        merged = {
            folder.join(path) for part in to_change(folder).parts for path in part.files.values()
        }
        names = {stem_of(path) for path in broken if path not in merged}
        own = {
            table: {stem_of(path) for path in listing.paths(table) if path not in merged}
            for table in PACK_TABLES
        }
        names |= incomplete_packs(own)
        bad = {*broken, *listing.lost} & {*merged}
        if not names and not bad:
            return notes
        if bad:
            notes.extend(replace_parts(folder, bad))
        # Only now: before, the damaged files counted.
        notes.extend(set_aside_all(folder, names, broken))


def incomplete_packs(own: dict[str, set[str]]) -> set[str]:
    """Return the packs that lack a table, or of which a death has left some tables alone.

    Args:
        own: Names of the files in each table's folder.
    """
    runs = own[RUNS.name]
    wanted = [table for table in PACK_TABLES if table not in OPTIONAL_TABLES]
    incomplete = {name for table in wanted for name in runs - own[table]}
    # Rows of merged files of version 4 must not count beside those of packs trained again.
    orphans = {
        name
        for table in PACK_TABLES
        for name in own[table] - runs
        if name.startswith(MERGED_PREFIX)
    }
    return incomplete | orphans


def replace_parts(folder: StudyFolder, bad: set[str]) -> list[str]:
    """Have a generation that names none of the `bad` merged files, with what is saved of them."""
    generation = to_change(folder)
    now = time.time()
    name = next_name(generation)
    parts: list[Part] = []
    notes = []
    for number, part in enumerate(generation.parts):
        if bad.isdisjoint(folder.join(path) for path in part.files.values()):
            parts.append(part)
            continue
        if not part.files.keys().isdisjoint(PLAN_TABLES):
            continue
        saved = salvage(folder, part, name, number, now)
        parts.extend([saved] if saved else [])
        kept = len(saved.packs) if saved else 0
        notes.append(
            f"of the {len(part.packs)} packs that were merged into {part.files[RUNS.name]}, {kept} "
            "are saved; the runs of the others are trained again"
        )
    write_generation(folder, generation, parts, at=now, name=name)
    return notes


def set_aside_all(folder: StudyFolder, names: set[str], broken: list[str]) -> list[str]:
    """Rename the runs of some packs, and then whatever else of them is damaged."""
    notes = []
    going = [
        path
        for table in PACK_TABLES
        for path in folder.list_files(table, ".parquet")
        if stem_of(path) in names
        and (table == RUNS.name or stem_of(path).startswith(MERGED_PREFIX))
    ]
    for path in dict.fromkeys((*going, *broken)):
        folder.set_aside(path)
        how = "was damaged and" if path in broken else "belongs to a damaged pack and"
        notes.append(f"{path} {how} is set aside; {AGAIN}")
    return notes


def mend_plan(folder: StudyFolder) -> list[str]:
    """Plan again what a damaged plan has planned: it is known from packs and from rows."""
    found = look_through(folder, PLAN.name)
    is_damaged = bool(found.broken or found.lost) or read_plan_loss(folder).is_certain
    count = plan_again(folder, found.sound, is_damaged=is_damaged)
    notes = set_files_aside(folder, found, "its runs are planned again")
    if count:
        notes.append(f"{count} runs of {folder.name} were in no plan; they are planned again")
    return notes


class Looked(NamedTuple):
    """The files of a table, looked through.

    Attributes:
        sound: Paths of files that are as they were written.
        broken: Paths of those that are not.
        lost: Paths of merged files that are not there.
    """

    sound: list[str]
    broken: list[str]
    lost: list[str]


def look_through(folder: StudyFolder, table: str) -> Looked:
    """Read every file of a table of the plan; merged ones that are damaged count no longer."""
    lost: list[str] = []
    broken_parts: list[str] = []
    while True:
        listing = list_tables(folder, [table])
        broken = find_broken(folder.is_sound, listing.paths(table))
        gone = {*broken, *listing.lost}
        merged = {folder.join(path) for path in to_change(folder).paths(table)}
        if not gone & merged:
            sound = [path for path in listing.paths(table) if path not in broken]
            return Looked(sound, [*broken_parts, *broken], lost)
        lost.extend(listing.lost)
        broken_parts.extend(path for path in broken if path in merged)
        replace_parts(folder, gone & merged)


def set_files_aside(folder: StudyFolder, found: Looked, what: str) -> list[str]:
    """Set the damaged files aside, and say so."""
    for path in found.broken:
        folder.set_aside(path)
    notes = [f"{path} was damaged and is set aside; {what}" for path in found.broken]
    return [*notes, *(f"{path} is missing; {what}" for path in found.lost)]


def mend_cells(folder: StudyFolder) -> list[str]:
    """Write down again the cells of planned runs that are in no file: packs tell what they were."""
    found = look_through(folder, CELLS.name)
    known = read_files(folder, found.sound, CELLS.schema, ("cell_id",))["cell_id"]
    planned = read_column(folder, PLAN.name, ("cell_id",))["cell_id"]
    lost = pc.unique(planned.filter(pc.invert(pc.is_in(planned, known.combine_chunks()))))
    count = write_again(folder, set(lost.to_pylist())) if len(lost) else 0
    notes = set_files_aside(folder, found, "its cells are written down again")
    if count:
        notes.append(f"{count} cells of {folder.name} were in no file; they are written down again")
    return notes


def write_again(folder: StudyFolder, lost: set[str]) -> int:
    """Write down those of some lost cells whose configurations packs hold; return how many."""
    packs = [path for path in folder.list_files(PACKS.name, ".parquet") if folder.is_sound(path)]
    configs = pc.unique(read_files(folder, packs, PACKS.schema, ("config",))["config"])
    with named_by_results():
        cells = [read_cell(config) for config in configs.to_pylist()]
    again = list({cell.cell_id: cell for cell in cells if cell.cell_id in lost}.values())
    if again:
        rows = cells_table(folder.name, again, utc_now())
        write_cells(folder, f"again-{uuid.uuid4().hex}", rows)
    return len(again)


def mend_rows(folder: StudyFolder) -> list[str]:
    """Take out runs whose rows in other tables are not all there; they are trained again."""
    if has_all_rows(folder):
        return []
    losers = incomplete_runs(Store([folder]))
    if losers.num_rows == 0:
        return []
    drop_rows(folder, losers)
    tables = sorted({name for names in losers["tables"].to_pylist() for name in names})
    lost = f"{losers.num_rows} runs of {folder.name} lacked rows of {', '.join(tables)}"
    return [f"{lost}, or had some twice, and are taken out; {AGAIN}"]


def mend_pair_files(folder: StudyFolder) -> list[str]:
    """Set damaged files of pairs aside: what is in none is measured again."""
    found = look_through(folder, PAIRS.name)
    return set_files_aside(folder, found, "its pairs are measured again")


def mend_pairs(folder: StudyFolder) -> list[str]:
    """Take pairs out that lack rows: they are measured again."""
    if not list_tables(folder, [PAIRS.name]).paths(PAIRS.name):
        return []
    lacking = lacking_pairs(Store([folder]))
    if lacking.num_rows == 0:
        return []
    gone = set(zip(*(lacking[name].to_pylist() for name in PAIR), strict=True))
    keep_rows(folder, PAIRS.name, lambda rows: without_pairs(rows, gone))
    lost = f"{len(gone)} pairs of runs of {folder.name} lacked rows, or had some twice"
    return [f"{lost}, and are measured again"]


def without_pairs(rows: pa.Table, gone: set[tuple[str, ...]]) -> pa.Table:
    """Return the rows of other pairs than those in `gone`."""
    pairs = zip(*(rows[name].to_pylist() for name in PAIR), strict=True)
    return rows.filter(pa.array([pair not in gone for pair in pairs], pa.bool_()))


def plan_again(folder: StudyFolder, sound: list[str], *, is_damaged: bool) -> int:
    """Plan every run that is known and in none of the `sound` files of the plan."""
    planned = read_files(folder, sound, PLAN.schema, ("run_id",))["run_id"].combine_chunks()
    ended = read_column(folder, RUNS.name, ("run_id",))["run_id"]
    if not is_damaged and pc.all(pc.is_in(ended, planned)).as_py() in (True, None):
        return 0
    known = known_runs(folder)
    lost = known.filter(pc.invert(pc.is_in(known["run_id"], planned)))
    lost = lost.filter(lost["config"].is_valid())
    with named_by_results():
        cells = {config: read_cell(config) for config in pc.unique(lost["config"]).to_pylist()}
    runs = {
        row["run_id"]: Run(row["run_id"], cells[row["config"]], row["seed"])
        for row in lost.to_pylist()
    }
    if runs:
        # A name of its own: the damaged file, which is set aside next, may be one of these too.
        write_plan(folder, folder.name, f"again-{uuid.uuid4().hex}", list(runs.values()))
    return len(runs)


def known_runs(folder: StudyFolder) -> pa.Table:
    """Return run, seed and configuration of every run that packs or rows of runs tell of."""
    columns = ("run_id", "seed", "config")
    packs = [path for path in folder.list_files(PACKS.name, ".parquet") if folder.is_sound(path)]
    told = read_files(folder, packs, PACKS.schema, columns)
    # Version 4 had the configuration in every row of runs.
    schema = pa.schema([*RUNS.schema, CELLS.schema.field("config")])
    paths = list_tables(folder, [RUNS.name]).paths(RUNS.name)
    ended = read_files(folder, paths, schema, (*columns, "cell_id"))
    found = look_through(folder, CELLS.name)
    cells = read_files(folder, found.sound, CELLS.schema, ("cell_id", "config")).to_pydict()
    configs = dict(zip(cells["cell_id"], cells["config"], strict=True))
    rows = ended.to_pydict()
    rows["config"] = [
        config or configs.get(cell)
        for config, cell in zip(rows["config"], rows["cell_id"], strict=True)
    ]
    return pa.concat_tables([told, pa.table(rows, ended.schema).select(list(columns))])


def read_files(
    folder: StudyFolder, paths: list[str], schema: pa.Schema, columns: Iterable[str]
) -> pa.Table:
    """Return some columns of some files."""
    narrow = pa.schema([schema.field(column) for column in columns])
    if not paths:
        return narrow.empty_table()
    dataset = ds.dataset(paths, schema=narrow, format="parquet", filesystem=folder.filesystem)
    return dataset.to_table()


def mend_orders(folder: StudyFolder) -> list[str]:
    """Set aside damaged files of packs: a launch writes its own."""
    paths = folder.list_files(PACKS.name, ".parquet")
    broken = find_broken(folder.is_sound, paths)
    for path in broken:
        folder.set_aside(path)
    return [f"{path} was damaged and is set aside" for path in broken]
