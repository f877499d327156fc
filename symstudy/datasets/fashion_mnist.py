"""Fashion-MNIST by name."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from symstudy.components import component
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.readers.download import Remote
from symstudy.datasets.readers.idx import idx_parts, unpacked_idx
from symstudy.datasets.readers.packages import DebianPackage, Package
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Parts

__all__ = ["FashionMnistConfig"]

BASE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FILES = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}

CONTENTS = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


@component
class FashionMnistConfig(AbstractKnownConfig):
    """Articles of clothing: 60,000 training and 10,000 test images of 28x28 grey pixels."""

    folders: ClassVar[tuple[str, ...]] = ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw")
    system: ClassVar[tuple[str, ...]] = ("/usr/share/datasets/fashion-mnist",)
    package: ClassVar[Package | None] = DebianPackage(
        "dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"
    )
    remotes: ClassVar[tuple[Remote, ...]] = tuple(
        Remote(name, BASE + name, md5, CONTENTS[name.removesuffix(".gz")])
        for name, md5 in FILES.items()
    )
    unpacked: ClassVar[dict[str, tuple[str, ...]]] = unpacked_idx(list(FILES))
    contents: ClassVar[dict[str, str]] = CONTENTS
    counts: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = ((6000,) * 10, (1000,) * 10)

    kind: Literal["fashion_mnist"] = "fashion_mnist"
    """Articles of clothing (Xiao et al. 2017): 60,000 and 10,000 images of 28x28."""

    def decoded(self, sources: Sequence[Source]) -> Parts:
        """Return the images and labels of the four idx files."""
        return idx_parts(sources)
