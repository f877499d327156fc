"""SVHN by name."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from symstudy.components import component
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.readers.download import Remote
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Parts
from symstudy.datasets.readers.svhn import read_svhn

__all__ = ["SvhnConfig"]

BASE = "http://ufldl.stanford.edu/housenumbers/"


@component
class SvhnConfig(AbstractKnownConfig):
    """Digits of house numbers: 73,257 for training and 26,032 for the test, 3x32x32 pixels."""

    folders: ClassVar[tuple[str, ...]] = ("svhn",)
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote("train_32x32.mat", f"{BASE}train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
        Remote("test_32x32.mat", f"{BASE}test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
    )
    counts: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = (
        (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
        (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
    )
    axes_of_image: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    kind: Literal["svhn"] = "svhn"
    """Digits of house numbers (Netzer et al. 2011): 73,257 and 26,032 of 3x32x32."""

    def decoded(self, sources: Sequence[Source]) -> Parts:
        """Return the images and labels of the two files of Matlab."""
        train, test = (read_svhn(source.path) for source in sources)
        return Parts(train, test)
