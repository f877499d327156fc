"""Finds studies at the places that a user names: local paths, or URIs of object stores."""

from pathlib import Path

from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.access import reason_of
from symstudy.store.files.folder import STUDY_FILE, StudyFolder
from symstudy.store.files.strangers import refuse_foreign_link, refuse_strangers
from symstudy.store.tables.schema import VERSIONS

__all__ = ["check_version", "find_studies", "open_location"]


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
        for folder in inside:
            if folder.is_local:
                refuse_foreign_link(folder.path)
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
        StoreError: If `study.json` says another schema version, or something in the folder is no
            plain file, so that nothing of it is read.
    """
    if folder.is_local:
        refuse_strangers(folder.path)
    if folder.version not in VERSIONS:
        known = " or ".join(map(str, VERSIONS))
        raise StoreError(
            f"results must have schema version {known}, but {folder.path!r} has "
            f"{folder.version!r}: another version of symstudy wrote it. Read it with that version, "
            "or name another folder with --results."
        )
