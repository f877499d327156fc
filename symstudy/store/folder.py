"""A study's folder of results, on a local disk or in an object store.

Files appear whole or not at all: a local file is written under a temporary name in the same folder
and renamed; an object store's put is atomic by itself. Temporary names do not end in `.parquet`, so
no reader ever takes one for a table.
"""

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.schema import SCHEMA_VERSION

__all__ = ["StudyFolder", "check_version", "find_studies", "open_location"]

STUDY_FILE = "study.json"
MAGIC = b"PAR1"


@dataclass(frozen=True)
class StudyFolder:
    """The results of one study.

    Attributes:
        filesystem: Where they are.
        path: The folder within it, without a trailing slash.
    """

    filesystem: fs.FileSystem
    path: str

    @property
    def name(self) -> str:
        """The last part of the path: the study's name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a local (or mounted) disk."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def join(self, *parts: str) -> str:
        """Return the path of something in the folder."""
        return "/".join((self.path, *parts))

    def exists(self) -> bool:
        """Return whether a study has been frozen here."""
        info = self.filesystem.get_file_info(self.join(STUDY_FILE))
        return bool(info.type == fs.FileType.File)

    def write_bytes(self, content: bytes, *parts: str) -> None:
        """Write `content` to a file of the folder, whole or not at all.

        Raises:
            StoreError: If it cannot be written.
        """
        target = self.join(*parts)
        try:
            self.filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
            if not self.is_local:
                with self.filesystem.open_output_stream(target) as stream:
                    stream.write(content)
                return
            temporary = f"{target}.{uuid.uuid4().hex}.tmp"
            try:
                with Path(temporary).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(target)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"the results must be writable, but {target!r} is not: {reason_of(error)}. "
                "Free space or change permissions, or name another place with --results."
            ) from error

    def write_table(
        self, table: pa.Table, *parts: str, row_groups: Sequence[int] | None = None
    ) -> None:
        """Write `table` as a Parquet file with a checksum on every page.

        Args:
            table: The rows.
            parts: Path in the folder.
            row_groups: Rows of each row group; one group if not given.

        Raises:
            StoreError: If it cannot be written.
        """
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink, table.schema, compression="zstd", write_page_checksum=True
        ) as writer:
            at = 0
            for count in row_groups if row_groups is not None else [table.num_rows]:
                writer.write_table(table.slice(at, count), row_group_size=max(count, 1))
                at += count
        self.write_bytes(sink.getvalue().to_pybytes(), *parts)

    def write_json(self, value: Any, *parts: str) -> None:
        """Write `value` as JSON that a person can read."""
        self.write_bytes((json.dumps(value, indent=2) + "\n").encode(), *parts)

    def read_bytes(self, *parts: str) -> bytes:
        """Return the content of a file of the folder.

        Raises:
            StoreError: If it cannot be read.
        """
        path = self.join(*parts)
        try:
            with self.filesystem.open_input_stream(path) as stream:
                content: bytes = stream.read()
        except OSError as error:
            raise StoreError(
                f"the results must be readable, but {path!r} is not: {reason_of(error)}."
            ) from error
        return content

    def read_json(self, *parts: str) -> Any:
        """Return a JSON file of the folder as Python values.

        Raises:
            StoreError: If it cannot be read, or is not JSON.
        """
        try:
            return json.loads(self.read_bytes(*parts))
        except ValueError as error:
            raise StoreError(
                f"{self.join(*parts)!r} must be JSON, but is not: {error}. It was not written by "
                "symstudy, or was damaged since."
            ) from error

    def list_files(self, folder: str, suffix: str) -> list[str]:
        """Return the paths of the files of a subfolder whose names end in `suffix`, sorted.

        Raises:
            StoreError: If the folder cannot be read.
        """
        selector = fs.FileSelector(self.join(folder), allow_not_found=True)
        try:
            infos = self.filesystem.get_file_info(selector)
        except OSError as error:
            raise StoreError(
                f"the results must be readable, but {self.join(folder)!r} is not: "
                f"{reason_of(error)}."
            ) from error
        return sorted(
            info.path
            for info in infos
            if info.type == fs.FileType.File
            and info.base_name.endswith(suffix)
            and not info.base_name.startswith((".", "_"))
        )

    def is_whole(self, path: str) -> bool:
        """Return whether the Parquet file at `path` begins and ends as one."""
        try:
            with self.filesystem.open_input_file(path) as file:
                size = file.size()
                if size < 12:
                    return False
                head = file.read_at(4, 0)
                tail = file.read_at(8, size - 8)
        except OSError:
            return False
        footer = int.from_bytes(tail[:4], "little")
        return bool(head == MAGIC and tail[4:] == MAGIC and footer <= size - 12)

    def set_aside(self, path: str) -> str:
        """Rename a damaged file so that no reader takes it for a table; return its new path."""
        target = f"{path}.damaged"
        self.filesystem.move(path, target)
        return target


def open_location(location: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and path of a local path or of a URI such as s3://bucket/folder.

    Raises:
        StoreError: If the URI cannot be opened.
    """
    if "://" not in location:
        return fs.LocalFileSystem(), str(Path(location).expanduser().absolute())
    try:
        filesystem, path = fs.FileSystem.from_uri(location)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"--results must be a path or a URI that pyarrow can open, but got {location!r}: "
            f"{error}. Credentials come from the environment (AWS_ACCESS_KEY_ID, ...)."
        ) from error
    return filesystem, path.rstrip("/")


def find_studies(locations: list[str]) -> list[StudyFolder]:
    """Return the studies at `locations`: each a study's folder, or a folder of such folders.

    Raises:
        StoreError: If there is none.
    """
    found: list[StudyFolder] = []
    for location in locations:
        filesystem, path = open_location(location)
        own = StudyFolder(filesystem, path)
        if own.exists():
            found.append(own)
            continue
        selector = fs.FileSelector(path, allow_not_found=True)
        try:
            infos = filesystem.get_file_info(selector)
        except OSError as error:
            raise StoreError(
                f"RESULTS must be a readable folder, but {location!r} is not: {reason_of(error)}."
            ) from error
        folders = [
            StudyFolder(filesystem, info.path)
            for info in sorted(infos, key=lambda info: info.path)
            if info.type == fs.FileType.Directory
        ]
        inside = [folder for folder in folders if folder.exists()]
        if not inside:
            raise StoreError(
                f"RESULTS must be the folder of a study, or of several, but {location!r} holds "
                f"none (no {STUDY_FILE} in it or in its folders). Make one with: symstudy run "
                "STUDY.toml"
            )
        found.extend(inside)
    for folder in found:
        check_version(folder)
    return found


def check_version(folder: StudyFolder) -> None:
    """Raise if the results were written with other tables than this version reads.

    Raises:
        StoreError: If `study.json` says another schema version.
    """
    version = folder.read_json(STUDY_FILE).get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"results must have schema version {SCHEMA_VERSION}, but {folder.path!r} has "
            f"{version!r}: another version of symstudy wrote it. Read it with that version, or "
            "name another folder with --results."
        )


def reason_of(error: OSError) -> str:
    """Return why a file operation failed, without its path."""
    return error.strerror or str(error)
