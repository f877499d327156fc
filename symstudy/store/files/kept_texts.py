"""Texts that say what a launch ran: packages, uncommitted changes, the user's own code.

Each lies once in `provenance/`, named by the SHA-256 of its bytes, however many launches ran it.
"""

import hashlib
import re

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder

__all__ = ["KEPT_TEXTS", "keep_text", "read_text"]

KEPT_TEXTS = "provenance"
"""Folder of the texts in a study's folder."""
NAME = re.compile(r"[0-9a-f]{64}")


def keep_text(folder: StudyFolder, content: bytes) -> str:
    """Write `content` to the folder unless it is there already; return its SHA-256.

    Raises:
        StoreError: If it cannot be written.
    """
    name = hashlib.sha256(content).hexdigest()
    if not folder.has_file(KEPT_TEXTS, name):
        folder.write_bytes(content, KEPT_TEXTS, name)
    return name


def read_text(folder: StudyFolder, name: object) -> bytes:
    """Return what `keep_text` wrote under `name`.

    Args:
        folder: Folder of the study.
        name: As `study.json` says it, which may be anything.

    Raises:
        StoreError: If `name` is no SHA-256, or the text cannot be read or is another one.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise StoreError(
            f"{folder.path!r} must name what a launch ran by 64 hexadecimal digits, but its "
            f"study.json says {name!r}: it was not written by symstudy, or was changed since."
        )
    content = folder.read_bytes(KEPT_TEXTS, name)
    if hashlib.sha256(content).hexdigest() != name:
        raise StoreError(
            f"{folder.join(KEPT_TEXTS, name)!r} must be as it was written, but has changed since."
        )
    return content
