"""What well-known data sets have in common: where their files are looked for and come from."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from symstudy.components.own_modules import search_places
from symstudy.datasets.pictured import AbstractImagesConfig
from symstudy.datasets.readers.download import MIRROR, Remote, download, md5_of
from symstudy.datasets.readers.packages import Package
from symstudy.datasets.readers.places import VARIABLE, Source, data_folder
from symstudy.datasets.readers.samples import Part, Parts
from symstudy.datasets.readers.unpacked import open_unpacked
from symstudy.errors import AbsentDataError, DataError

__all__ = ["AbstractKnownConfig"]

FETCH = "python -m symstudy.datasets.fetch"
"""What fetches the packages of all kinds that have one."""


class AbstractKnownConfig(AbstractImagesConfig):
    """Images that go by a name.

    Their files are looked for below `SYMSTUDY_DATA`, below `data` beside the study file and in the
    working directory, in torchvision's folders and in those of a system's package, and are
    downloaded into `SYMSTUDY_DATA` where it is set.

    Attributes:
        folders: Folders that hold the files, below any of these places.
        system: Folders of a system's package.
        package: Package of Debian or PyPI that has the files; None where there is none.
        remotes: Files to download.
        unpacked: For each name of a file to download, what it may be replaced by: the names of
            files that it holds.
        contents: MD5 of files that are not packed, by name; a packed one is held to its `remotes`
            where what it holds is not listed.
        counts: Number of training and of test images of each class, by which they are checked.
        axes_of_image: Channels, rows and columns of an image.
    """

    has_own_files: ClassVar[bool] = False
    folders: ClassVar[tuple[str, ...]]
    system: ClassVar[tuple[str, ...]] = ()
    package: ClassVar[Package | None] = None
    remotes: ClassVar[tuple[Remote, ...]]
    unpacked: ClassVar[dict[str, tuple[str, ...]]] = {}
    contents: ClassVar[dict[str, str]] = {}
    counts: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]]
    axes_of_image: ClassVar[tuple[int, int, int]] = (1, 28, 28)

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with the hash and the sizes of what its files hold.

        Where they are nowhere, and none are to be downloaded, their sizes are known all the same: a
        study can be read and planned, and not run.
        """
        try:
            self.sources()
        except AbsentDataError:
            return self.sized(len(self.counts[0]), self.axes_of_image, *map(sum, self.counts))
        except DataError as error:
            return self, [(error.key, error.what)]
        return super().identified()

    @property
    def to_fetch(self) -> str:
        """What must be done for its files to be there; empty where they were when it was read."""
        if self.data_source or not self.sizes:
            return ""
        try:
            self.sources()
        except AbsentDataError as error:
            return str(error)
        return f"data.kind = {self.kind!r} has its files now: read the study again"

    @abstractmethod
    def decoded(self, sources: Sequence[Source]) -> Parts:
        """Return the images and labels of the files.

        Raises:
            ValueError: If they hold something else.
        """

    def sources(self) -> list[Source]:
        """Return the files, downloaded if need be."""
        return [source for remote in self.remotes for source in self.found(remote)]

    def found(self, remote: Remote) -> list[Source]:
        """Return the file of `remote`, or those that it holds; download it where there is none.

        Raises:
            AbsentDataError: If it is nowhere, and there is no folder to download it into.
            DataError: If it cannot be downloaded.
        """
        if here := self.present(remote):
            return here
        target = data_folder()
        if target is None:
            raise AbsentDataError("kind", self.advice(f"{VARIABLE} is not set"))
        try:
            return [named(download(remote, target / self.folders[0]))]
        except OSError as error:
            reason = f"{remote.name!r} could not be downloaded: {error}"
            raise DataError("kind", self.advice(reason)) from error

    def present(self, remote: Remote) -> list[Source]:
        """Return the file of `remote`, or those that it holds; empty where there is none."""
        packed = (remote.name,)
        for folder in self.places():
            for names in (packed, self.unpacked.get(remote.name, packed)):
                if all((folder / name).is_file() for name in names):
                    return [named(folder / name) for name in names]
        return []

    def places(self) -> list[Path]:
        """Return the folders in which the files are looked for, in order."""
        target = data_folder()
        bases = [*([target] if target is not None else [])]
        bases += [place / "data" for place in search_places()]
        below = [base / folder for base in bases for folder in (*self.folders, ".")]
        return [*below, *(Path(folder) for folder in self.system)]

    def advice(self, reason: str) -> str:
        """Return what must hold where files are nowhere, with the lines to type."""
        target = data_folder() or Path("~/data")
        folder = self.folders[0]
        fetch = "" if self.package is None else f"`{FETCH}`, which takes it from a package, or "
        missing = [remote for remote in self.remotes if not self.present(remote)]
        names = ", ".join(repr(remote.name) for remote in missing)
        listed = ", ".join(f"{remote.url} (MD5 {remote.md5})" for remote in missing)
        return (
            f"must have its files on this machine, but lacks {names}, and {reason}. Type {fetch}"
            f"`export {VARIABLE}={target}` and, where there is no internet, put {listed} into "
            f"{str(target / folder)!r}, or set {MIRROR} to an address below which a server has "
            f"{folder}/{missing[0].name if missing else '...'}"
        )

    def divided(self, parts: Parts) -> Parts:
        """Return the images as they are: they have a test part."""
        return parts

    def images(self, sources: Sequence[Source]) -> Parts:
        """Return the images as bytes, and their labels, checked by the number of each class."""
        for source in sources:
            self.check_digest(source.path)
        try:
            parts = self.decoded(sources)
        except Exception as error:  # every reader has errors of its own
            names = ", ".join(repr(str(source.path)) for source in sources)
            raise DataError(
                "kind", f"must have whole files, but one of {names}: {error}"
            ) from error
        assert parts.test is not None, "known images have a test part"
        for part, counts, side in zip(parts, self.counts, ("training", "test"), strict=True):
            assert isinstance(part, Part)
            found = np.bincount(part.y, minlength=len(counts)).tolist()
            if found != list(counts):
                raise DataError(
                    "kind",
                    f"must be the {side} images of {self.kind!r}, {list(counts)} of each class, "
                    f"but {str(sources[0].path.parent)!r} has {found}",
                )
        return parts

    def check_digest(self, path: Path) -> None:
        """Check the checksum of a file, where one is known.

        Raises:
            DataError: If it has another.
        """
        stated = {remote.name: remote.md5 for remote in self.remotes}
        wanted = self.contents.get(path.name.removesuffix(".gz"))
        if wanted is not None:
            with open_unpacked(path) as file:
                found = md5_of(file)
        elif path.name in stated:
            wanted = stated[path.name]
            with path.open("rb") as file:
                found = md5_of(file)
        else:
            return
        if found != wanted:
            raise DataError(
                "kind",
                f"must have files with the checksums of {self.kind!r}, but {str(path)!r} has the "
                f"MD5 {found} in place of {wanted}. Delete it and download it again",
            )


def named(path: Path) -> Source:
    """Return a file with the name that identity counts: none for a packed folder."""
    return Source("" if path.name.endswith(".tar.gz") else path.name, path)
