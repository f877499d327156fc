"""Downloading the files of well-known data sets into `SYMSTUDY_DATA`, held to their checksums."""

import hashlib
import http.client
import logging
import os
import tempfile
import urllib.request
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Remote", "download", "md5_of"]

TIMEOUT_S = 30
BLOCK = 1 << 20


class Remote(NamedTuple):
    """A file that can be downloaded.

    Attributes:
        name: Name of the file.
        url: Where it is.
        md5: MD5 of its bytes, as its publisher states it.
    """

    name: str
    url: str
    md5: str


def download(remote: Remote, folder: Path) -> Path:
    """Download a file into `folder` and return where it is; nothing is left of a broken one.

    Raises:
        OSError: If it cannot be reached or written, or has another checksum.
    """
    if not remote.url.startswith(("http://", "https://")):
        raise OSError(f"{remote.url!r} is no address of the web")
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("symstudy").warning("downloading %s into %s", remote.url, folder)
    handle, temporary = tempfile.mkstemp(prefix=f".{remote.name}-", dir=folder)
    try:
        total = hashlib.md5(usedforsecurity=False)
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(remote.url, timeout=TIMEOUT_S) as answer,  # noqa: S310  # checked
        ):
            while block := answer.read(BLOCK):
                total.update(block)
                file.write(block)
        if total.hexdigest() != remote.md5:
            raise OSError(
                f"{remote.url} must have the MD5 {remote.md5}, but got {total.hexdigest()}"
            )
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / remote.name)
    except http.client.HTTPException as error:
        raise OSError(f"{remote.url} broke off: {error!r}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return folder / remote.name


def md5_of(file: BinaryIO) -> str:
    """Return the MD5 of a file that is open."""
    total = hashlib.md5(usedforsecurity=False)
    while block := file.read(BLOCK):
        total.update(block)
    return total.hexdigest()
