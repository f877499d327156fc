"""The tables of studies as they are on the disk at one moment, as datasets that DuckDB scans."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.measures import EXTRA_MEASURES
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import GENERATIONS
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.rewriting import united_schema
from symstudy.store.files.sealed import find_broken
from symstudy.store.tables.cells import (
    cells_schema,
    in_columns,
    read_cells,
    read_schemas,
    unite_schemas,
)
from symstudy.store.tables.copies import copy_name, holds_copies, is_copy
from symstudy.store.tables.hyperparameters import RESERVED
from symstudy.store.tables.keys import KEYS, damaged_error, find_once, read_keys
from symstudy.store.tables.packed import PACKED, packed_dataset, packs_of, paths_of_packs
from symstudy.store.tables.scanning import parquet_format, with_dictionaries
from symstudy.store.tables.schema import (
    CELL_KEYS,
    CELLS,
    HISTORY,
    LAYERS,
    PAIRS,
    PLAN,
    RENAMED,
    RUNS,
    TABLES,
    TYPES,
    Table,
)
from symstudy.store.tables.version_4 import derive_cells
from symstudy.study.columns import builtin_hyperparameters

__all__ = ["StudyTables"]

MERGED = "runs_merged"
"""Runs of the files that have all hyperparameters beside their runs."""
JOINED = "runs_joined"
"""Runs of the other files."""
REPORTED = "reported_"
"""Before the name of a metric of programs that is also a hyperparameter of studies at hand."""


class StudyTables:
    """The files of every table of some studies, with what must be known of them to query them.

    Attributes:
        folders: The studies' folders.
        files: Files of each table, each with its folder, by the table's name.
        derived: Cells of studies that have them in their plan, by the folder's identity.
        narrow: Narrow columns of a table of a study, by the folder's identity and the table's name.
        keys: Narrow columns of each table, of all studies.
        once: Which rows of each table do not count.
        hyperparameters: The hyperparameters of the studies: those that are columns of the views.
        datasets: Rows of each table that was asked for, as something DuckDB can scan.
        copied: Files of runs that hold all hyperparameters of the views beside their runs.
        run_sources: Which of `JOINED` and `MERGED` have runs; one of them at least.
        named: Columns of measures and metrics that are not built in, by table.
        aliases: What metrics are called in the views that share the name of a hyperparameter.
    """

    def __init__(self, folders: Sequence[StudyFolder]) -> None:
        """Find the files of every table, and read the columns that say which rows count.

        Raises:
            FileNotFoundError: If one is gone in the meantime.
            StoreError: If one of them is damaged.
        """
        self.folders = tuple(folders)
        self.files = self.list_files()
        self.derived = self.derive_cells()
        self.narrow = {
            (id(folder), keys.table.name): read_keys(
                folder, self.infos(folder, keys.table.name), keys
            )
            for folder in self.folders
            for keys in KEYS
        }
        for folder in self.folders:
            if (rows := self.derived.get(id(folder))) is not None:
                at = (id(folder), CELLS.name)
                own = rows.select(CELL_KEYS).replace_schema_metadata(None)
                self.narrow[at] = pa.concat_tables([self.narrow[at], own]).combine_chunks()
        self.keys = {
            keys.table.name: pa.concat_tables(
                self.narrow[id(folder), keys.table.name] for folder in self.folders
            )
            for keys in KEYS
        }
        self.once = {keys.table.name: find_once(keys, self.keys[keys.table.name]) for keys in KEYS}
        self.datasets = {CELLS.name: self.cells()}
        self.named = self.named_fields()
        self.aliases: dict[str, str] = {}
        self.tell_apart()
        self.copied = self.find_copied()
        others = {info.path for _, info in self.files[RUNS.name]} - self.copied
        self.run_sources = [JOINED] if others or not self.copied else []
        self.run_sources += [MERGED] if self.copied else []

    def rows_of(self, name: str) -> Any:
        """Return the rows of a table, of `JOINED` or of `MERGED`, as something DuckDB can scan.

        Raises:
            FileNotFoundError: If a file of it is gone.
        """
        if name not in self.datasets:
            self.datasets[name] = self.make_dataset(name)
        return self.datasets[name]

    def make_dataset(self, name: str) -> Any:
        """Return what `rows_of` does, made anew."""
        if name == JOINED:
            others = {info.path for _, info in self.files[RUNS.name]} - self.copied
            return self.dataset(RUNS, only=others)
        if name == MERGED:
            copies = [pa.field(copy_name(each), TYPES[each.kind]) for each in self.hyperparameters]
            return self.dataset(RUNS, copies, only=self.copied)
        return self.dataset(TABLES[name])

    def infos(self, folder: StudyFolder, table: str) -> list[fs.FileInfo]:
        """Return the files of a table of a study."""
        return [info for at, info in self.files[table] if at is folder]

    def list_files(self) -> dict[str, list[tuple[StudyFolder, fs.FileInfo]]]:
        """Return the files of every table in every study.

        Raises:
            FileNotFoundError: If one is gone in the meantime.
            StoreError: If one of them is damaged.
        """
        files: dict[str, list[tuple[StudyFolder, fs.FileInfo]]] = {name: [] for name in TABLES}
        damaged: list[str] = []
        for folder in self.folders:
            listing = list_tables(folder)
            damaged.extend(listing.lost)
            for name, infos in listing.files.items():
                files[name].extend((folder, info) for info in infos)
                if name not in {keys.table.name for keys in KEYS}:
                    paths = [info.path for info in infos]
                    damaged.extend(find_broken(folder.is_whole, paths))
        if damaged:
            raise damaged_error(damaged)
        return files

    def derive_cells(self) -> dict[int, pa.Table]:
        """Return the cells of studies that have them in their plan, by the folder's identity."""
        found = {}
        for folder in self.folders:
            if folder.version == 4:
                paths = [info.path for info in self.infos(folder, PLAN.name)]
                found[id(folder)] = derive_cells(folder, paths)
        return {at: rows for at, rows in found.items() if rows is not None}

    def cells(self) -> Any:
        """Return the cells of every study as something DuckDB can scan.

        `hyperparameters` is then what they have columns for.
        """
        schemas = {
            id(folder): read_schemas(folder, self.infos(folder, CELLS.name))
            for folder in self.folders
        }
        every = [schema for of_study in schemas.values() for schema in of_study.values()]
        every += [rows.schema for rows in self.derived.values()]
        self.hyperparameters = tuple(unite_schemas(every, first=builtin_hyperparameters(RESERVED)))
        parts: list[ds.Dataset] = []
        for folder in self.folders:
            parts.extend(read_cells(folder, schemas[id(folder)], self.hyperparameters))
            if (rows := self.derived.get(id(folder))) is not None:
                wanted = in_columns(rows, self.hyperparameters).replace_schema_metadata(None)
                parts.append(ds.dataset(wanted))
        if not parts:
            return cells_schema(self.hyperparameters).remove_metadata().empty_table()
        return parts[0] if len(parts) == 1 else ds.dataset(parts)

    def named_fields(self) -> dict[str, list[pa.Field]]:
        """Return the columns that are not built in, by table, as the files have them.

        Files are looked at only where a cell names a measure of the user's own, or is a program's.
        """
        cells = self.datasets[CELLS.name]
        wanted = ["measures", "program_source"]
        rows = cells if isinstance(cells, pa.Table) else cells.to_table(columns=wanted)
        texts = pc.unique(rows["measures"]).to_pylist()
        named = {name for text in texts for name in json.loads(text or "[]")}
        has_programs = rows["program_source"].null_count < rows.num_rows
        found: dict[str, list[pa.Field]] = {}
        is_plain = named <= {measure.name for measure in EXTRA_MEASURES} and not has_programs
        # Which measures of pairs there are, no cell says.
        for table in (PAIRS,) if is_plain else (RUNS, HISTORY, LAYERS, PAIRS):
            schemas = [
                schema
                for folder in self.folders
                for schema in read_schemas(folder, self.infos(folder, table.name)).values()
            ]
            united = united_schema(table.name, schemas)
            found[table.name] = [
                field
                for field in united
                if field.name not in table.schema.names and not is_copy(field.name)
            ]
        return {name: fields for name, fields in found.items() if fields}

    def tell_apart(self) -> None:
        """Find what metrics are called that share the name of a hyperparameter, as `loss` does.

        Where no study at hand has the hyperparameter, the name is the metric's.
        """
        known = {each.name.lower(): each.name for each in self.hyperparameters}
        metrics = dict.fromkeys(field.name for of in self.named.values() for field in of)
        shared = {name: known[name.lower()] for name in metrics if name.lower() in known}
        if not shared:
            return
        cells = self.datasets[CELLS.name]
        wanted = list(dict.fromkeys(shared.values()))
        rows = cells if isinstance(cells, pa.Table) else cells.to_table(columns=wanted)
        absent = {name for name in wanted if rows[name].null_count == rows.num_rows}
        self.aliases = {
            name: f"{REPORTED}{name}" for name, own in shared.items() if own not in absent
        }
        self.hyperparameters = tuple(e for e in self.hyperparameters if e.name not in absent)

    @property
    def without_means(self) -> frozenset[str]:
        """Columns that are not built in and hold no numbers: truths, and lists of numbers."""
        fields = (field for of in self.named.values() for field in of)
        return frozenset(
            field.name
            for field in fields
            if pa.types.is_boolean(field.type) or pa.types.is_list(field.type)
        )

    def study_of(self, folder: StudyFolder) -> str:
        """Return the name of a study, as its rows have it."""
        for keys in KEYS:
            names = self.narrow[id(folder), keys.table.name]["study"]
            if len(names):
                return str(names[0])
        return folder.name

    def find_copied(self) -> frozenset[str]:
        """Return the files of runs that hold all hyperparameters of the views beside their runs."""
        if self.once[RUNS.name].superseded is None:
            # Which of two equal rows counts, a window over all files must say.
            return frozenset()
        found: set[str] = set()
        for folder in self.folders:
            infos = [info for info in self.infos(folder, RUNS.name) if GENERATIONS in info.path]
            for path, schema in read_schemas(folder, infos).items():
                if holds_copies(schema, self.hyperparameters):
                    found.add(path)
        return frozenset(found)

    def dataset(
        self,
        table: Table,
        more: Sequence[pa.Field] = (),
        only: Collection[str] | None = None,
    ) -> Any:
        """Return the rows of `table` of every study as something DuckDB can scan.

        Of several studies each row of a table without a study gets its own: the same run may be in
        two of them, in packs of the same name.

        Args:
            table: The table.
            more: Columns that are read beside its own; a text among them as a dictionary.
            only: Paths of the files that are read; all of the table if not given.
        """
        schema, texts = with_dictionaries(table, more)
        for field in self.named.get(table.name, ()):
            schema = schema.append(field)
        for old in RENAMED.get(table.name, {}).values():
            schema = schema.append(pa.field(old, pa.float64()))
        if len(self.folders) > 1 and "study" not in schema.names:
            schema = schema.append(pa.field("study", pa.string()))
        files = {
            id(folder): [
                info.path
                for info in self.infos(folder, table.name)
                if only is None or info.path in only
            ]
            for folder in self.folders
        }

        def parts_of(runs: Collection[str] | None = None) -> list[ds.Dataset]:
            found = []
            for folder in self.folders:
                paths = files[id(folder)]
                if runs is not None:
                    keys = self.narrow[id(folder), RUNS.name]
                    paths = paths_of_packs(keys, paths, packs_of(keys, runs))
                if paths:
                    found.append(self.part(table, schema, texts, folder, paths))
            return found

        parts = parts_of()
        if not parts:
            return schema.empty_table()
        if table.name in PACKED:
            return packed_dataset(schema, parts, parts_of)
        return parts[0] if len(parts) == 1 else ds.dataset(parts)

    def part(
        self,
        table: Table,
        schema: pa.Schema,
        texts: Sequence[str],
        folder: StudyFolder,
        paths: Sequence[str],
    ) -> ds.Dataset:
        """Return some files of a table of one study; rows without a study get its name."""
        form = parquet_format(texts, is_local=folder.is_local)
        if "study" in table.schema.names or "study" not in schema.names:
            return ds.dataset(list(paths), schema=schema, format=form, filesystem=folder.filesystem)
        constant = ds.field("study") == self.study_of(folder)
        fragments = [
            form.make_fragment(path, folder.filesystem, partition_expression=constant)
            for path in paths
        ]
        return ds.FileSystemDataset(fragments, schema, form, folder.filesystem)

    def is_stale(self) -> bool:
        """Return whether a file that this connection reads is gone or not what it was."""
        for files in self.files.values():
            for folder in self.folders:
                known = {info.path: info for at, info in files if at is folder}
                now = folder.filesystem.get_file_info(list(known))
                for info in now:
                    before = known[info.path]
                    if (info.size, info.mtime_ns) != (before.size, before.mtime_ns):
                        return True
        return False

    def damage(self, error: Exception) -> StoreError:
        """Return the error that names the files which cannot be read through."""
        damaged = [
            path
            for folder in self.folders
            for files in self.files.values()
            for path in find_broken(
                folder.is_sound, [info.path for at, info in files if at is folder]
            )
            # What is gone has been merged.
            if folder.filesystem.get_file_info(path).type == fs.FileType.File
        ]
        return damaged_error(damaged) if damaged else StoreError(str(error))
