"""A study's folder of results, on a local disk or in an object store.

Files appear whole or not at all: a local file is written under a temporary name in the same folder
and renamed; an object store's put is atomic by itself. Temporary names do not end in `.parquet`, so
no reader ever takes one for a table.
"""

import contextlib
import itertools
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files import disk
from symstudy.store.files.access import not_readable, not_writable, opened, readable, reason_of
from symstudy.store.files.names import require_inside
from symstudy.store.files.parquet import STATISTICS_ROWS, parquet_content
from symstudy.store.files.sealed import (
    BrokenFileError,
    ReadAt,
    has_frame,
    is_sound,
    read_keys,
    read_whole,
)
from symstudy.store.files.strangers import link_error
from symstudy.store.files.study_file import parse_study, with_checksum
from symstudy.store.tables.schema import SCHEMA_VERSION

__all__ = ["STUDY_COPY", "STUDY_FILE", "StudyFolder", "plan_version"]

STUDY_FILE = "study.json"
STUDY_COPY = "study.copy.json"
"""The same, for the day that `study.json` is damaged: it holds the rules that were frozen."""


@dataclass(frozen=True)
class StudyFolder:
    """The results of one study.

    Attributes:
        filesystem: Where they are.
        path: The folder within it, without a trailing slash.
    """

    filesystem: fs.FileSystem
    path: str

    @cached_property
    def name(self) -> str:
        """The study's name: what it says of itself, wherever its folder lies."""
        name = self.read_study().get("name")
        return name if isinstance(name, str) and name else self.place

    @property
    def place(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def version(self) -> int:
        """The schema version of the results."""
        study = self.read_study()
        return study.get("schema_version", 0) if study else plan_version(self)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a local (or mounted) disk."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def location(self) -> str:
        """The folder as a user names it: a path, or a URI such as s3://bucket/results/digits."""
        if self.is_local:
            return self.path
        scheme = {"gcs": "gs"}.get(self.filesystem.type_name, self.filesystem.type_name)
        return f"{scheme}://{self.path}"

    @property
    def remedy(self) -> str:
        """What most often helps where the results cannot be written."""
        if self.is_local:
            return "Free space or change permissions"
        return "Make the bucket, or look at the credentials (AWS_ACCESS_KEY_ID, ...)"

    def join(self, *parts: str) -> str:
        """Return the path of something in the folder.

        Raises:
            StoreError: If it would be outside.
        """
        require_inside(self.path, *parts)
        return "/".join((self.path, *parts))

    def refuse_link(self, path: str) -> None:
        """Raise if a file of the folder, or a folder on the way to it, is a symbolic link.

        Raises:
            StoreError: If it is one.
        """
        link = disk.find_link(self.path, path) if self.is_local else None
        if link is not None:
            raise link_error(link)

    def exists(self) -> bool:
        """Return whether there is a study here: its file, the copy of it, or a plan."""
        return (
            self.has_file(STUDY_FILE)
            or self.has_file(STUDY_COPY)
            or bool(self.list_files("plan", ".parquet"))
        )

    def has_file(self, *parts: str) -> bool:
        """Return whether there is a file at a place of the folder.

        Raises:
            StoreError: If the folder cannot be looked into.
        """
        path = self.join(*parts)
        with readable(path):
            return bool(self.filesystem.get_file_info(path).type == fs.FileType.File)

    def write_study(self, values: Mapping[str, Any]) -> None:
        """Write what the study is to `study.json`, and before it to its copy.

        Raises:
            StoreError: If they cannot be written.
        """
        sealed = with_checksum(values)
        self.write_json(sealed, STUDY_COPY)
        self.write_json(sealed, STUDY_FILE)

    def read_study(self) -> dict[str, Any]:
        """Return what `study.json` says, or its copy where it is damaged; empty without either."""
        return self.read_sound_study(STUDY_FILE) or self.read_sound_study(STUDY_COPY) or {}

    def read_sound_study(self, file: str) -> dict[str, Any] | None:
        """Return what `study.json` or its copy says; None if it is damaged or of wrong types."""
        try:
            return parse_study(self.read_bytes(file))
        except StoreError:
            return None

    def write_bytes(self, content: bytes, *parts: str) -> None:
        """Write `content` to a file of the folder, whole or not at all.

        Raises:
            StoreError: If it cannot be written.
        """
        target = self.join(*parts)
        parent = target.rsplit("/", 1)[0]
        self.refuse_link(parent)
        try:
            if not self.is_local:
                self.filesystem.create_dir(parent, recursive=True)
                with self.filesystem.open_output_stream(target) as stream:
                    stream.write(content)
                return
            disk.make_folder(parent)
            temporary = f"{target}.{uuid.uuid4().hex}.tmp"
            try:
                disk.write_new(temporary, content)
                disk.rename(temporary, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    disk.delete(temporary)
                raise
        except OSError as error:
            raise StoreError(
                f"the results must be writable, but {target!r} is not: {reason_of(error)}. "
                f"{self.remedy}, or name another place with --results."
            ) from error

    def write_table(
        self,
        table: pa.Table,
        *parts: str,
        row_groups: Sequence[int] | None = None,
        keys: Sequence[str] = (),
    ) -> None:
        """Write `table` as a Parquet file with a checksum on every page.

        Args:
            table: The rows.
            parts: Path in the folder.
            row_groups: Rows of each row group; one group if not given.
            keys: Names of columns that readers find without opening the file as Parquet.

        Raises:
            StoreError: If it cannot be written.
        """
        sizes = row_groups if row_groups is not None else [table.num_rows]
        starts = itertools.accumulate(sizes[:-1], initial=0)
        groups = (table.slice(at, size) for at, size in zip(starts, sizes, strict=True))
        statistics = table.num_rows >= STATISTICS_ROWS
        self.write_groups(table.schema, groups, *parts, statistics=statistics, keys=keys)

    def write_groups(
        self,
        schema: pa.Schema,
        groups: Iterable[pa.Table],
        *parts: str,
        statistics: bool,
        keys: Sequence[str] = (),
    ) -> None:
        """Write a sealed Parquet file, a row group at a time, with a checksum on every page.

        Args:
            schema: Of every group.
            groups: The rows of each group.
            parts: Path in the folder.
            statistics: Whether readers may skip groups by the statistics of their columns.
            keys: Names of columns that readers find without opening the file as Parquet.

        Raises:
            StoreError: If it cannot be written.
        """
        content = parquet_content(schema, groups, statistics=statistics, keys=keys)
        self.write_bytes(content, *parts)

    def write_json(self, value: Any, *parts: str) -> None:
        """Write `value` as JSON that a person can read."""
        self.write_bytes((json.dumps(value, indent=2) + "\n").encode(), *parts)

    def read_bytes(self, *parts: str) -> bytes:
        """Return the content of a file of the folder.

        Raises:
            StoreError: If it cannot be read.
        """
        path = self.join(*parts)
        self.refuse_link(path)
        try:
            with self.filesystem.open_input_stream(path) as stream:
                content: bytes = stream.read()
        except OSError as error:
            raise not_readable(path, error) from error
        return content

    def read_json(self, *parts: str) -> Any:
        """Return a JSON file of the folder as Python values.

        Raises:
            StoreError: If it cannot be read, or is not JSON.
        """
        try:
            return json.loads(self.read_bytes(*parts))
        except (ValueError, RecursionError) as error:
            raise StoreError(
                f"{self.join(*parts)!r} must be JSON, but is not: {error}. It was not written by "
                "symstudy, or was damaged since."
            ) from error

    def delete(self, *parts: str) -> None:
        """Delete a file of the folder, if it is there.

        Raises:
            StoreError: If it cannot be deleted.
        """
        path = self.join(*parts)
        self.refuse_link(path.rsplit("/", 1)[0])
        try:
            if self.is_local:
                disk.delete(path)
            elif self.filesystem.get_file_info(path).type == fs.FileType.File:
                self.filesystem.delete_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise not_writable(path, error, "cannot be deleted") from error

    def delete_if_empty(self, *parts: str) -> None:
        """Delete a folder that holds nothing; object stores have none."""
        if self.is_local:
            with contextlib.suppress(OSError):
                Path(self.join(*parts)).rmdir()

    def list_files(self, folder: str, suffix: str) -> list[str]:
        """Return the paths of the files of a subfolder whose names end in `suffix`, sorted.

        Raises:
            StoreError: If the folder cannot be read.
        """
        return [info.path for info in self.list_infos(folder, suffix)]

    def list_infos(self, folder: str, suffix: str) -> list[fs.FileInfo]:
        """Return the same files with their sizes and times.

        Raises:
            StoreError: If the folder cannot be read.
        """
        self.refuse_link(self.join(folder))
        selector = fs.FileSelector(self.join(folder), allow_not_found=True)
        with readable(self.join(folder)):
            infos = self.filesystem.get_file_info(selector)
        found = [
            info
            for info in infos
            if info.type == fs.FileType.File
            and info.base_name.endswith(suffix)
            and not info.base_name.startswith((".", "_"))
        ]
        for info in found:
            if self.is_local and os.path.islink(info.path):  # noqa: PTH114  # for thousands of files
                self.refuse_link(info.path)
        return sorted(found, key=lambda info: info.path)

    def opened(self, path: str) -> contextlib.AbstractContextManager[tuple[ReadAt, int]]:
        """Open a file; give what reads some bytes from a place of it on, and its size in bytes.

        Raises:
            FileNotFoundError: If there is no such file.
            StoreError: If it cannot be read, which says nothing of what is in it.
        """
        return opened(None if self.is_local else self.filesystem, path)

    def is_whole(self, path: str) -> bool:
        """Return whether the Parquet file at `path` begins and ends as one.

        Raises:
            FileNotFoundError: If there is no such file.
            StoreError: If it cannot be read.
        """
        with self.opened(path) as (read_at, size):
            head, tail = read_at(0, 4), read_at(max(size - 8, 0), 8)
        return has_frame(head, tail, size)

    def read_keys(self, info: fs.FileInfo) -> pa.Table | None:
        """Return the narrow columns of a Parquet file of ours; None if it has none.

        Raises:
            BrokenFileError: If it is damaged.
            FileNotFoundError: If there is no such file.
            StoreError: If it cannot be read.
        """
        try:
            with self.opened(info.path) as (read_at, size):
                return read_keys(read_at, size)
        except (FileNotFoundError, StoreError):
            raise
        except (OSError, pa.ArrowException) as error:
            raise BrokenFileError from error

    def is_sound(self, path: str) -> bool:
        """Return whether the Parquet file at `path` is there, every byte as it was written.

        Raises:
            StoreError: If it cannot be read.
        """
        try:
            with readable(path):
                content = read_whole(self.filesystem, path)
        except FileNotFoundError:
            return False
        return is_sound(content)

    def move(self, path: str, target: str) -> None:
        """Rename a file of the folder; its new subfolder is made if there is none.

        Raises:
            FileNotFoundError: If there is no such file.
            StoreError: If it cannot be renamed.
        """
        for place in (path, target):
            self.refuse_link(place.rsplit("/", 1)[0])
        try:
            if self.is_local:
                disk.make_folder(target.rsplit("/", 1)[0])
                disk.rename(path, target)
            else:
                self.filesystem.move(path, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise not_writable(path, error, "cannot be renamed") from error

    def set_aside(self, path: str) -> str:
        """Rename a damaged file so that no reader takes it for a table; return its new path."""
        target = f"{path}.damaged"
        self.move(path, target)
        return target


def plan_version(folder: StudyFolder) -> int:
    """Return the schema version that a study's plan was written with; ours if that is unknown."""
    for path in folder.list_files("plan", ".parquet"):
        try:
            metadata = pq.read_metadata(path, filesystem=folder.filesystem).metadata or {}
            return int(metadata[b"symstudy_schema"])
        except (OSError, pa.ArrowException, KeyError, ValueError):
            continue
    return SCHEMA_VERSION
