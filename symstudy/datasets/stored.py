"""What data sets from files have in common: keys, identity, shape, and arrays kept once a node."""

import functools
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from annotated_types import Ge, Gt
from numpy.typing import NDArray

from symstudy.components import DataShape, KnownBy, Role, component, fields_of
from symstudy.datasets.augmentation import sources_of
from symstudy.datasets.augmented import AbstractAugmentedConfig
from symstudy.datasets.base import Task
from symstudy.datasets.config import NoiseMode
from symstudy.datasets.mapped import AbstractMappedConfig
from symstudy.datasets.readers.cache import Entry, read_entry, write_entry
from symstudy.datasets.readers.content import content_of
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.split import Arrays, targets_of
from symstudy.errors import DataError
from symstudy.identity import canonical_json, digest

__all__ = ["AbstractStoredConfig"]

FORMAT = 3
"""Raised when the arrays made of the same files and keys change."""
LATER = frozenset(
    {
        *("samples", "test_samples", "input_scale", "label_noise", "noise_mode"),
        *("input_matrix", "input_condition", "input_rank"),
    }
)
"""Keys that the arrays on the disk do not depend on."""


@component
class AbstractStoredConfig(AbstractMappedConfig, AbstractAugmentedConfig):
    """A data set read from files. Identity counts what they hold, not where they lie.

    Contract: `sources` finds the files, `read` makes arrays of them; both raise `DataError`. The
    arrays are a pure function of the files and of the keys that are neither paths nor among
    `LATER`; they are the same for every seed.
    """

    samples: Annotated[int, Ge(0)] = 0
    """Number of training samples, the first of them; 0 for all."""
    test_samples: Annotated[int, Ge(0)] = 0
    """Number of test samples, the first of them; 0 for all."""
    input_scale: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Factor on the inputs."""
    label_noise: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Probability that a training label is replaced by another class; standard deviation of the
    Gaussian noise on each target of a regression."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""
    augment: tuple[str, ...] = ()
    """What is done to the inputs of each training batch, in order: "shift", "crop", "flip", or
    functions package.module:function of your own."""
    augment_pixels: Annotated[int, Ge(1)] = 2
    """By how many pixels at most "shift" and "crop" move an image along each axis."""
    augment_sources: Annotated[tuple[str, ...], Role.RESOLVED] = ()
    """What identifies the source of each function of your own in augment; found by itself."""
    data_source: Annotated[str, Role.RESOLVED] = ""
    """SHA-256 of what the files hold; found by itself."""
    sizes: Annotated[tuple[int, ...], KnownBy("data_source"), Role.RESOLVED] = ()
    """Number of outputs, then the axes of one input; found by itself."""

    has_own_files: ClassVar[bool] = True
    """Whether its files are the user's own, which may change; those of a known set never do."""

    @property
    def classifies(self) -> bool:
        """Whether targets are classes."""
        return True

    @property
    def keeps_integers(self) -> bool:
        """Whether inputs are handed on as integers."""
        return False

    @abstractmethod
    def sources(self) -> list[Source]:
        """Return the files that the data set is read from.

        Raises:
            DataError: If one is not there.
        """

    @abstractmethod
    def read(self, sources: Sequence[Source]) -> Arrays:
        """Return the arrays that the files hold.

        Raises:
            DataError: If they hold something else.
        """

    def settled(self) -> Self:
        """Return the configuration with absolute paths; what has none is as it is."""
        return self

    @property
    def shape(self) -> DataShape:
        """The sizes of this data, known once its files have been read.

        Raises:
            DataError: If they have not.
        """
        if not self.sizes:
            raise DataError(
                "kind",
                "must come from a study that was read, so that its files have been, but got a "
                f"{type(self).__name__} as it was written. Use make_study, or identified()",
            )
        outputs, *axes = self.sizes
        return DataShape(
            math.prod(axes),
            outputs,
            self.samples,
            self.test_samples,
            self.classifies,
            input_shape=tuple(axes) if len(axes) > 1 else (),
            is_integer=self.keeps_integers,
        )

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of one input."""
        return tuple(self.sizes[1:])

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with the hash and the sizes of what its files hold."""
        try:
            made = self.settled()
            made = made.without_idle_keys()
            whole: Any = replace(made, data_source=content_of(made.sources()))
            arrays = arrays_of(whole)
        except DataError as error:
            return self, [(error.key, error.what)]
        sized: tuple[Self, list[tuple[str, str]]] = whole.sized(
            arrays.outputs, arrays.input_shape, len(arrays.x_train), len(arrays.x_test)
        )
        return sized

    def sized(
        self, outputs: int, axes: tuple[int, ...], train: int, test: int
    ) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with its sizes, and what is wrong with it.

        Args:
            outputs: Number of outputs.
            axes: Axes of one input.
            train: Training samples that there are.
            test: Test samples that there are.
        """
        try:
            whole: Any = replace(
                self,
                samples=counted("samples", self.samples, train),
                test_samples=counted("test_samples", self.test_samples, test),
                sizes=(outputs, *axes),
                augment_sources=sources_of(self.augment),
            )
        except DataError as error:
            return self, [(error.key, error.what)]
        return whole, list(whole.misfits())

    def core(self) -> Self:
        """Return the configuration with nothing but what its arrays follow from."""
        whole: Any = self
        defaults = {
            field.name: field.default
            for field in fields_of(type(self))
            if field.name in LATER or field.name.startswith("augment") or field.name == "sizes"
        }
        made: Self = replace(whole, **defaults)
        return made

    def array_key(self) -> str:
        """Return the hash of everything that the arrays follow from."""
        core = self.core()
        keys = {
            field.name: getattr(core, field.name)
            for field in fields_of(type(self))
            if not field.known_by
        }
        return digest(canonical_json({**keys, "format": FORMAT}))

    def own_files(self) -> list[Path]:
        """Return the files of the user's own that it is read from; none where one is not there."""
        if not self.has_own_files:
            return []
        try:
            return [source.path for source in self.sources()]
        except DataError:
            return []

    def check_files(self) -> str:
        """Return how the files differ from those that were planned; empty if they do not.

        Files that are not there are no difference where this node has kept their arrays.
        """
        if not self.has_own_files and read_entry(self.array_key()) is not None:
            return ""
        try:
            found = content_of(self.sources())
        except DataError as error:
            return "" if read_entry(self.array_key()) is not None else f"but {error}"
        if found == self.data_source:
            return ""
        return (
            "but its files have changed since. Put them back as they were, or type `symstudy run "
            "STUDY --extend`: the changed data makes runs of their own"
        )

    def chosen(self) -> "Chosen":
        """Return the samples that it chooses, without noise and augmentation."""
        assert self.shape.train, "the files have been read"
        whole: Any = self
        return chosen_arrays(replace(whole, label_noise=0.0, noise_mode="fixed", augment=()))

    def given(self) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
        """Yield the inputs and the targets of its files; those of a known set are not looked at."""
        if not self.has_own_files:
            return
        chosen = self.chosen()
        yield "inputs", chosen.x_train, chosen.x_test
        yield "target", chosen.y_train, chosen.y_test

    def build(self, seed: int) -> Task:
        """Return the samples; they are the same for every seed."""
        chosen = self.chosen()
        return Task(
            seed=seed,
            is_classification=self.classifies,
            x_train=chosen.x_train,
            y_train=chosen.y_train,
            x_test=chosen.x_test,
            y_test=chosen.y_test,
        )


class Chosen(NamedTuple):
    """The samples that a configuration chooses, as tasks have them; not to be written to."""

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]


def counted(key: str, wanted: int, found: int) -> int:
    """Return how many samples are taken of those found.

    Raises:
        DataError: If there are not so many.
    """
    if wanted > found:
        what = f"must be at most the {found} samples that there are, but got {wanted}"
        raise DataError(key, what)
    return wanted or found


@functools.lru_cache(maxsize=8)
def chosen_arrays(config: AbstractStoredConfig) -> Chosen:
    """Return the samples of a configuration: the same arrays for every seed and every pack."""
    arrays = arrays_of(config)
    scale = config.input_scale
    x = [arrays.x_train[: config.samples], arrays.x_test[: config.test_samples]]
    if scale != 1.0:
        x = [(scale * each).astype(each.dtype, copy=False) for each in x]
    y = [
        targets_of(each[:count], arrays.outputs, is_classification=config.classifies)
        for each, count in (
            (arrays.y_train, config.samples),
            (arrays.y_test, config.test_samples),
        )
    ]
    return Chosen(*(read_only(each) for each in (x[0], y[0], x[1], y[1])))


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that is not to be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def arrays_of(config: AbstractStoredConfig) -> Arrays:
    """Return the arrays of a configuration, read once a node and mapped from its disk.

    Raises:
        DataError: If its files cannot be read, or have changed since its content was hashed.
    """
    return kept_arrays(config.core())


@functools.lru_cache(maxsize=8)
def kept_arrays(core: AbstractStoredConfig) -> Arrays:
    """Return the arrays of a configuration from the disk, or read its files and keep them there."""
    key = core.array_key()
    entry = read_entry(key)
    if entry is None:
        sources = core.sources()
        arrays = core.read(sources)
        # Hashed again after reading: what was read is what is known by the hash.
        if content_of(sources) != core.data_source:
            raise DataError(
                "kind",
                "must be given files as they were when the study was planned, but they have "
                "changed or are being written to",
            )
        meta = {"input_shape": list(arrays.input_shape), "outputs": arrays.outputs}
        names = ("x_train", "y_train", "x_test", "y_test")
        entry = write_entry(key, Entry({name: getattr(arrays, name) for name in names}, meta))
    return Arrays(
        **entry.arrays,
        input_shape=tuple(entry.meta["input_shape"]),
        outputs=int(entry.meta["outputs"]),
    )
