"""CIFAR-10 by name."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from symstudy.components import component
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.readers.cifar import Batch, read_batches, read_cifar
from symstudy.datasets.readers.download import Remote
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Parts

__all__ = ["Cifar10Config"]

NAME = "cifar-10-python.tar.gz"
BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


@component
class Cifar10Config(AbstractKnownConfig):
    """Natural images of 10 classes: 50,000 for training and 10,000 for the test, 3x32x32 pixels."""

    folders: ClassVar[tuple[str, ...]] = ("cifar10", "cifar-10")
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            NAME,
            f"https://www.cs.toronto.edu/~kriz/{NAME}",
            "c58f30108f718f92721af3b95e74349a",
        ),
    )
    unpacked: ClassVar[dict[str, tuple[str, ...]]] = {
        NAME: tuple(f"cifar-10-batches-py/{name}" for name in BATCHES)
    }
    contents: ClassVar[dict[str, str]] = BATCHES
    counts: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = ((5000,) * 10, (1000,) * 10)
    axes_of_image: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    kind: Literal["cifar10"] = "cifar10"
    """Natural images (Krizhevsky 2009): 50,000 and 10,000 of 3x32x32."""

    def decoded(self, sources: Sequence[Source]) -> Parts:
        """Return the images and labels of the packed file, or of its batches."""
        if len(sources) == 1:
            found = read_cifar(sources[0].path)
        else:
            found = read_batches([Batch(each.name, each.path.read_bytes) for each in sources])
        return Parts(found["train"], found["test"])
