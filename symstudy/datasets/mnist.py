"""MNIST by name."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from symstudy.components import component
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.readers.download import Remote
from symstudy.datasets.readers.idx import idx_parts, unpacked_idx
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Parts

__all__ = ["MnistConfig"]

BASE = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


@component
class MnistConfig(AbstractKnownConfig):
    """Handwritten digits: 60,000 training and 10,000 test images of 28x28 grey pixels."""

    folders: ClassVar[tuple[str, ...]] = ("mnist", "MNIST/raw")
    remotes: ClassVar[tuple[Remote, ...]] = tuple(
        Remote(name, BASE + name, md5) for name, md5 in FILES.items()
    )
    unpacked: ClassVar[dict[str, tuple[str, ...]]] = unpacked_idx(list(FILES))
    counts: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = (
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    )

    kind: Literal["mnist"] = "mnist"
    """Handwritten digits (LeCun et al. 1998): 60,000 and 10,000 images of 28x28."""

    def decoded(self, sources: Sequence[Source]) -> Parts:
        """Return the images and labels of the four idx files."""
        return idx_parts(sources)
