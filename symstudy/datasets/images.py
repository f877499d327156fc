"""Images of the user's own: class folders, idx, CIFAR, SVHN, and Hugging Face's Parquet."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from symstudy.components import KnownBy, component
from symstudy.datasets.pictured import AbstractImagesConfig
from symstudy.datasets.readers.cifar import is_batch, is_cifar, read_cifar
from symstudy.datasets.readers.idx import idx_part, read_idx
from symstudy.datasets.readers.parquet import read_image_columns
from symstudy.datasets.readers.pictures import Picture, decode, is_picture, read_class_folders
from symstudy.datasets.readers.places import Source, find_path, sources_below
from symstudy.datasets.readers.samples import Part, Parts, joined
from symstudy.datasets.readers.split import split_off
from symstudy.datasets.readers.svhn import read_svhn
from symstudy.errors import DataError

__all__ = ["ImagesConfig"]


@component
class ImagesConfig(AbstractImagesConfig):
    """Images of classes: class folders, idx, CIFAR or SVHN files, or Hugging Face's Parquet.

    The format is told by what `train` names: a folder with a folder of pictures for each class; an
    idx file, with that of its labels beside it; a folder, a tar.gz or a batch of CIFAR; a mat file
    of SVHN; a file of Parquet, or a folder of them.
    """

    kind: Literal["images"] = "images"
    """Images: class folders, idx, CIFAR or SVHN files, Hugging Face's Parquet."""
    train: Annotated[str, KnownBy("data_source")]
    """Folder or file of the training images: beside the study file, below the working directory,
    below the folder SYMSTUDY_DATA, or from the root."""
    test: Annotated[str, KnownBy("data_source")] = ""
    """Folder or file of the test images; without one those that `train` has itself (CIFAR), or some
    of its own."""
    train_labels: Annotated[str, KnownBy("data_source")] = ""
    """File of the training labels of idx images; by default the one with labels-idx1 for
    images-idx3 in its name."""
    test_labels: Annotated[str, KnownBy("data_source")] = ""
    """File of the test labels of idx images."""
    inputs: str = ""
    """Column of the images in Parquet; the one that there is if left out."""
    target: str = ""
    """Column of the labels in Parquet; the one that there is if left out."""
    size: Annotated[int, Ge(0)] = 0
    """Rows and columns that pictures are brought to; 0 for their own size."""

    test_share: Annotated[float, Gt(0), Lt(1)] = 0.2
    """Share of the images that are for the test where there are none of its own."""
    split_seed: Annotated[int, Ge(0)] = 0
    """Seed of the random split; it is the same for every seed of the study."""

    def settled(self) -> Self:
        """Return the configuration with absolute paths, labels of idx images found."""
        found: dict[str, Any] = {}
        for side in ("train", "test"):
            given, labels = getattr(self, side), getattr(self, f"{side}_labels")
            if not given:
                continue
            path = find_path(side, given)
            self.check_keys(format_of(path, side))
            found[side] = str(path)
            if labels:
                found[f"{side}_labels"] = str(find_path(f"{side}_labels", labels))
            elif format_of(path, side) == "idx":
                found[f"{side}_labels"] = str(labels_beside(path, side))
        return replace(self, **found)

    def check_keys(self, kind: str) -> None:
        """Check that no key goes unread that images of another format have.

        Raises:
            DataError: If one does.
        """
        readers = {
            "size": ("folders", "parquet"),
            "inputs": ("parquet",),
            "target": ("parquet",),
            "train_labels": ("idx",),
            "test_labels": ("idx",),
        }
        for key, kinds in readers.items():
            if getattr(self, key) and kind not in kinds:
                raise DataError(
                    key, f"must be left out for images of {kind}, but got {getattr(self, key)!r}"
                )

    def divided(self, parts: Parts) -> Parts:
        """Return the images with a test part, a random one where there is none of its own."""
        if parts.test is not None:
            return parts
        return split_off(parts.train, self.test_share, "random", self.split_seed)

    def sources(self) -> list[Source]:
        """Return the files, named for their key and format; those of folders by their place."""
        found: list[Source] = []
        for side in ("train", "test"):
            given, labels = getattr(self, side), getattr(self, f"{side}_labels")
            if not given:
                continue
            path = find_path(side, given)
            kind = format_of(path, side)
            if path.is_dir():
                found += [
                    Source(f"{side} {kind}/{each.name}", each.path)
                    for each in sources_below(path)
                    if belongs(each.path, kind)
                ]
            else:
                found.append(Source(f"{side} {kind}", path))
            if labels:
                found.append(Source(f"{side}_labels", find_path(f"{side}_labels", labels)))
        return found

    def images(self, sources: Sequence[Source]) -> Parts:
        """Return the images as bytes, and their labels."""
        del sources
        train, test = (self.side(side) for side in ("train", "test"))
        given = train.get("train") or train.get("test")
        assert given is not None, "data.train must be given"
        if self.test:
            return Parts(given, test.get("test") or test["train"])
        return Parts(given, train["test"] if "train" in train and "test" in train else None)

    def side(self, side: str) -> dict[str, Part]:
        """Return the samples that `train` or `test` names: of CIFAR both perhaps; none without it.

        Raises:
            DataError: If they cannot be read.
        """
        given = getattr(self, side)
        if not given:
            return {}
        path = find_path(side, given)
        readers: dict[str, Callable[[], dict[str, Part]]] = {
            "idx": lambda: {side: self.read_pair(path, side)},
            "cifar": lambda: read_cifar(path),
            "svhn": lambda: {side: read_svhn(path)},
            "parquet": lambda: {side: self.read_parquet(path)},
            "folders": lambda: {side: read_class_folders(path, self.size)},
        }
        try:
            return readers[format_of(path, side)]()
        except DataError:
            raise
        except Exception as error:  # every reader has errors of its own
            raise DataError(side, f"must name images, but {str(path)!r}: {error}") from error

    def read_pair(self, path: Path, side: str) -> Part:
        """Return the images and labels of a pair of idx files.

        Raises:
            ValueError: If they do not belong together.
        """
        images = read_idx(path)
        labels = read_idx(find_path(f"{side}_labels", getattr(self, f"{side}_labels")))
        return idx_part(images, labels)

    def read_parquet(self, path: Path) -> Part:
        """Return the images and labels of a file of Parquet, or of those of a folder in order."""
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        pictures: list[Picture] = []
        labels: list[NDArray[Any]] = []
        for file in files:
            contents, found = read_image_columns(file, self.inputs, self.target)
            pictures += [
                Picture(f"row {row} of {file.name}", content)
                for row, content in enumerate(contents)
            ]
            labels.append(found)
        return joined([Part(decode(pictures, self.size), np.concatenate(labels))])


def belongs(file: Path, kind: str) -> bool:
    """Return whether a file of a folder is read, where the folder has the format `kind`."""
    if kind == "cifar":
        return is_batch(file.name)
    return file.suffix == ".parquet" if kind == "parquet" else is_picture(file)


def format_of(path: Path, key: str) -> str:
    """Return the format of images: idx, cifar, svhn, parquet or folders.

    Raises:
        DataError: If it is none of them.
    """
    name = path.name.lower()
    fits = {
        "cifar": is_cifar(path),
        "parquet": any(path.glob("*.parquet")) or name.endswith(".parquet"),
        "idx": path.is_file() and "idx" in name,
        "svhn": name.endswith(".mat"),
        "folders": path.is_dir() and any(is_picture(file) for file in path.glob("*/**/*")),
    }
    found = next((kind for kind, does_fit in fits.items() if does_fit), "")
    if found:
        return found
    raise DataError(
        key,
        "must name a folder with a folder of pictures for each class, an idx file (idx in its "
        "name), batches of CIFAR (a folder, tar.gz or bin), a mat file of SVHN, or Parquet, but "
        f"got {str(path)!r}",
    )


def labels_beside(path: Path, side: str) -> Path:
    """Return the file of labels that belongs to a file of idx images.

    Raises:
        DataError: If there is none by the usual name.
    """
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    found = path.with_name(name)
    others = (found, found.with_suffix("") if found.suffix == ".gz" else Path(f"{found}.gz"))
    for each in others:
        if each != path and each.is_file():
            return each
    raise DataError(
        f"{side}_labels", f"must be given, since there is no {name!r} beside {path.name!r}"
    )
