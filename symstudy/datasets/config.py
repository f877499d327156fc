"""The contract of a data set's configuration: what a study file says of it, read without data."""

import functools
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from numpy.typing import NDArray

from symstudy.components import Component, DataShape
from symstudy.datasets.rounding import lost_in_32_bits

if TYPE_CHECKING:
    from symstudy.datasets.augmentation import Augmentation
    from symstudy.datasets.base import Task

__all__ = ["AbstractDatasetConfig", "NoiseMode", "build_task"]

NoiseMode = Literal["fixed", "online"]


class AbstractDatasetConfig(Component):
    """A data set as the `[data]` table describes it.

    Contract: `build` is a pure function of the configuration and a seed; what it returns is clean,
    since label noise belongs to the run, and does not depend on `label_noise`. A configuration with
    label noise has the keys `label_noise` (`Role.LANE`) and `noise_mode`.

    Attributes:
        kind: Name of the data set.
        is_absent: Whether there are no samples at all: models are measured as they are.
    """

    table: ClassVar[str] = "data"
    is_absent: ClassVar[bool] = False
    kind: str

    @property
    @abstractmethod
    def shape(self) -> DataShape:
        """Sizes of the data, known without building it."""

    @abstractmethod
    def build(self, seed: int) -> "Task":
        """Return the data of the runs with `seed`."""

    def build_mapped(self, seed: int) -> "Task":
        """Return the data of the runs with `seed` as networks see them."""
        return self.build(seed)

    def unmapped(self) -> Self:
        """Return the configuration without what is done to its inputs after they are labelled."""
        return self

    def misfits(self) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where keys do not fit; asked once sizes are known."""
        return iter(())

    @property
    def noise(self) -> float:
        """Standard deviation of the noise on targets, or the chance that a label is replaced."""
        return float(getattr(self, "label_noise", 0.0))

    @property
    def is_noisy_online(self) -> bool:
        """Whether label noise is drawn anew at every step."""
        return self.noise > 0 and getattr(self, "noise_mode", "fixed") == "online"

    @property
    def has_online_noise(self) -> bool:
        """Whether its label noise, if any, is drawn anew at every step."""
        return getattr(self, "noise_mode", "fixed") == "online"

    @property
    def augmentation(self) -> "Augmentation | None":
        """What is done to the inputs of each training batch; None for nothing."""
        return None

    @property
    def own_sources(self) -> dict[str, str]:
        """Functions of the user's own that it names, with their sources as they were planned."""
        return {}

    @property
    def to_fetch(self) -> str:
        """What must be fetched before anything is trained, and how; empty where it is all there."""
        return ""

    def own_files(self) -> list[Path]:
        """Return the files of the user's own that it is read from."""
        return []

    def given(self) -> "Iterator[tuple[str, NDArray[Any], NDArray[Any]]]":
        """Yield `inputs` and `target`, each with the samples for training and for the test.

        Nothing where they do not come from the user. Asked once sizes are known.
        """
        return iter(())

    def lost_in_32_bits(self) -> tuple[str, str] | None:
        """Return the key and what must hold where 32 bits do not hold the user's samples."""
        return lost_in_32_bits(self)

    def check_files(self) -> str:
        """Return how its files differ from those that were planned; empty if they do not."""
        return ""

    def clean(self) -> Self:
        """Return the configuration without label noise: runs that differ in it share the data."""
        clean: Self = replace(self, label_noise=0.0) if self.noise else self  # type: ignore[type-var]
        return clean


@functools.lru_cache(maxsize=256)
def build_task(config: AbstractDatasetConfig, seed: int) -> "Task":
    """Return the data that `config` describes for the runs with `seed`; kept for the next pack."""
    return config.build_mapped(seed)
