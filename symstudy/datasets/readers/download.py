"""Downloading the files of well-known data sets into `SYMSTUDY_DATA`, held to their checksums.

They come from their publishers, or from the mirror that `SYMSTUDY_MIRROR` names: the address of a
folder that has what `SYMSTUDY_DATA` is to have.
"""

import hashlib
import http.client
import logging
import math
import os
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from symstudy.datasets.readers.unpacked import open_unpacked

__all__ = ["MIRROR", "Remote", "address_of", "download", "md5_of"]

MIRROR = "SYMSTUDY_MIRROR"
"""Environment variable with the address of a mirror."""
TIMEOUT_S = 30
BLOCK = 1 << 20
PAUSES_S = (1.0, 4.0)
"""How long to wait before each further attempt at a download that broke off."""
KNOWN_S = 10.0
"""How long a download that has failed is not begun again: cells of a study ask one after another.
"""
FAILED: dict[tuple[str, Path], tuple[float, str]] = {}
"""When a download failed last, and why, by its address and its folder."""
BUSY = (408, 429, 500, 502, 503, 504)
"""Statuses of servers that may answer the next time."""


class Remote(NamedTuple):
    """A file that can be downloaded.

    Attributes:
        name: Name of the file.
        url: Where it is.
        md5: MD5 of its bytes, as its publisher states it.
        content_md5: MD5 of what it holds, unpacked; empty where it is not known.
    """

    name: str
    url: str
    md5: str
    content_md5: str = ""


class BrokenOffError(OSError):
    """A download that broke off, and may succeed the next time."""


def address_of(remote: Remote, folder: str) -> str:
    """Return where a file is downloaded from: its publisher, or `FOLDER/NAME` on the mirror.

    Args:
        remote: The file.
        folder: Name of the folder of `SYMSTUDY_DATA` that it goes into.

    Raises:
        OSError: If the mirror is no address of the web.
    """
    mirror = os.environ.get(MIRROR, "")
    if not mirror:
        return remote.url
    if not mirror.startswith(("http://", "https://")):
        raise OSError(
            f"the variable {MIRROR} must be an address that begins with http:// or https://, but "
            f"is {mirror!r}; a folder of this machine goes into the variable SYMSTUDY_DATA"
        )
    return f"{mirror.rstrip('/')}/{folder}/{remote.name}"


def download(remote: Remote, folder: Path) -> Path:
    """Download a file into `folder` and return where it is; nothing is left of a broken one.

    What breaks off is begun again twice. Several processes may do this at once: each writes a file
    of its own and renames it, and what they write is equal.

    Raises:
        OSError: If it cannot be reached or written, or has another checksum.
    """
    url = address_of(remote, folder.name)
    failed_at, why = FAILED.get((url, folder), (-math.inf, ""))
    if time.monotonic() - failed_at < KNOWN_S:
        raise OSError(why)
    try:
        return attempt(remote, url, folder)
    except OSError as error:
        FAILED[url, folder] = (time.monotonic(), str(error))
        raise


def attempt(remote: Remote, url: str, folder: Path) -> Path:
    """Download a file, in several attempts where it breaks off; see `download`.

    Raises:
        OSError: If it cannot be reached or written, or has another checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("symstudy")
    logger.warning("downloading %s into %s", url, folder)
    for pause in PAUSES_S:
        try:
            return download_once(remote, url, folder)
        except BrokenOffError as error:
            logger.warning("%s; again in %g s", error, pause)
            time.sleep(pause)
    return download_once(remote, url, folder)


def download_once(remote: Remote, url: str, folder: Path) -> Path:
    """Download a file in one attempt; see `download`.

    Raises:
        BrokenOffError: If it broke off, or its server is busy.
        OSError: If it cannot be reached or written, or has another checksum.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{remote.name}-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            found = copy(url, file)
        if found != remote.md5 and not holds_same(Path(temporary), remote):
            raise OSError(f"{url} must have the MD5 {remote.md5}, but got {found}")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / remote.name)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return folder / remote.name


def holds_same(path: Path, remote: Remote) -> bool:
    """Return whether a file was packed anew, as packages do, and holds what it is to hold."""
    if not (remote.content_md5 and remote.name.endswith(".gz")):
        return False
    try:
        with open_unpacked(path, is_packed=True) as file:
            return md5_of(file) == remote.content_md5
    except (OSError, EOFError, zlib.error):
        return False


def copy(url: str, file: BinaryIO) -> str:
    """Write what is at an address into a file, and return its MD5.

    Raises:
        BrokenOffError: If it broke off, or its server is busy.
        OSError: If it cannot be reached or written.
    """
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url!r} is no address of the web")
    total, length = hashlib.md5(usedforsecurity=False), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  # checked
            stated = answer.headers.get("Content-Length")
            while block := answer.read(BLOCK):
                length += len(block)
                total.update(block)
                file.write(block)
    except urllib.error.HTTPError as error:
        kind = BrokenOffError if error.code in BUSY else OSError
        raise kind(f"{url}: {error}") from error
    except urllib.error.URLError as error:
        raise OSError(f"{url}: {error}") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise BrokenOffError(f"{url} broke off after {length} bytes: {error!r}") from error
    # A body that ends too early raises nothing.
    if stated is not None and length < int(stated):
        raise BrokenOffError(f"{url} broke off after {length} of {stated} bytes")
    return total.hexdigest()


def md5_of(file: BinaryIO) -> str:
    """Return the MD5 of a file that is open."""
    total = hashlib.md5(usedforsecurity=False)
    while block := file.read(BLOCK):
        total.update(block)
    return total.hexdigest()
