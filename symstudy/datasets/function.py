"""Data from a function of the user's own, `data.kind = "package.module:function"`."""

import functools
import inspect
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from symstudy.components import ALWAYS, DataShape, Role, component, load_own, source_of
from symstudy.components.opened_files import files_opened, hash_files
from symstudy.components.own_code import code_of, files_read_by, with_content
from symstudy.datasets.augmentation import sources_of
from symstudy.datasets.augmented import AbstractAugmentedConfig
from symstudy.datasets.base import Task, one_hot
from symstudy.datasets.config import NoiseMode
from symstudy.datasets.readers.samples import Part, Parts
from symstudy.datasets.readers.split import finished_inputs, finished_targets
from symstudy.errors import ChangedError, DataError, ModelError
from symstudy.identity import canonical_json

__all__ = ["FunctionConfig"]

KEYS = ("kind", "label_noise", "noise_mode", "augment", "augment_pixels")
REPEATED_S = 5.0
"""A function that takes longer, in seconds, is not called twice to see whether it repeats."""
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@component
class FunctionConfig(AbstractAugmentedConfig):
    """What a function of your own returns: x_train, y_train, x_test, y_test, or a table of these.

    Every other key of `[data]` is a keyword argument, and `seed` too where the function has a
    parameter of that name. Targets that are one integer a sample are classes, floats are numbers;
    inputs keep their axes, and those of int32 and int64 stay integers.
    """

    kind: str
    """Import path of the function and its name, separated by a colon."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the function: every other key of the `[data]` table."""
    label_noise: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Probability that a training label is replaced, or standard deviation of the noise."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""
    augment: tuple[str, ...] = ()
    """What is done to the inputs of each training batch, as for data from files."""
    augment_pixels: Annotated[int, Ge(1)] = 2
    """By how many pixels at most "shift" and "crop" move an image along each axis."""
    augment_sources: Annotated[tuple[str, ...], Role.RESOLVED] = ()
    """What identifies the source of each function of your own in augment; found by itself."""
    data_source: Annotated[str, ALWAYS, Role.RESOLVED] = ""
    """SHA-256 of the function's source, and of the files of one's own that it reads, if any; found
    by itself."""
    sizes: Annotated[tuple[int, ...], Role.RESOLVED] = ()
    """1 for classes, 1 for integer inputs, outputs, training and test samples, then the axes of an
    input; found by itself."""

    @classmethod
    def of_table(cls, table: dict[str, Any]) -> dict[str, Any]:
        """Return the keys of a `[data]` table as fields: what is not one is an argument."""
        own: dict[str, Any] = {key: table[key] for key in KEYS if key in table}
        return {**own, "arguments": {key: item for key, item in table.items() if key not in own}}

    def __hash__(self) -> int:
        """Return the hash of all fields; arguments may be lists."""
        return hash((self.kind, canonical_json(self.arguments), self.data_source, self.label_noise))

    @property
    def shape(self) -> DataShape:
        """The sizes of what the function returned when the study was read."""
        is_classification, is_integer, outputs, train, test, *axes = self.sizes
        return DataShape(
            math.prod(axes),
            outputs,
            train,
            test,
            bool(is_classification),
            input_shape=tuple(axes) if len(axes) > 1 else (),
            is_integer=bool(is_integer),
        )

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of one input."""
        return tuple(self.sizes[5:])

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with the source and the sizes of what the function returns."""
        try:
            returned = call(self.kind, source_of(self.kind), canonical_json(self.arguments), 0)
            check_repeats(self.kind, source_of(self.kind), canonical_json(self.arguments))
            whole: Any = replace(
                self,
                data_source=with_content(source_of(self.kind), returned.content),
                sizes=returned.sizes,
                augment_sources=sources_of(self.augment),
            )
        except DataError as error:
            return self, [(error.key, error.what)]
        except ModelError as error:
            return self, [("kind", str(error).removeprefix("data.kind "))]
        return whole, list(whole.misfits())

    def given(self) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
        """Yield the inputs and the targets that the function returns for seed 0."""
        made = call(self.kind, code_of(self.data_source), canonical_json(self.arguments), 0)
        yield "inputs", made.x_train, made.x_test
        yield "target", made.y_train, made.y_test

    def build(self, seed: int) -> Task:
        """Return what the function returns for the runs with `seed`.

        Raises:
            DataError: If it has other sizes than for seed 0, with which the study was planned.
            ChangedError: If it reads other files.
        """
        source = code_of(self.data_source)
        made = call(self.kind, source, canonical_json(self.arguments), seed)
        if with_content(source, made.content) != self.data_source:
            raise ChangedError(
                f"data.kind must name a function that reads the files that it read for seed 0 when "
                f"the study was planned, as they were, but {self.kind} has read others for seed "
                f"{seed}, or they have changed. Put them back, or type `symstudy run STUDY "
                "--extend`: other files make runs of their own."
            )
        if made.sizes != self.sizes:
            raise DataError(
                "kind",
                f"must name a function that returns the same sizes for every seed, but {self.kind} "
                f"returned {list(made.sizes)} for seed {seed} and {list(self.sizes)} for seed 0. "
                "Return a table with the number of `classes` if a seed lacks one",
            )
        return Task(
            seed=seed,
            is_classification=made.is_classification,
            x_train=made.x_train,
            y_train=made.y_train,
            x_test=made.x_test,
            y_test=made.y_test,
        )


class Returned(NamedTuple):
    """What a function returned, checked, inputs as flat rows, targets as tasks have them.

    Attributes:
        x_train: Training inputs.
        y_train: Training targets.
        x_test: Test inputs.
        y_test: Test targets.
        is_classification: Whether targets are classes.
        sizes: As `FunctionConfig.sizes`.
        files: Files of the user's own that were read.
        content: SHA-256 of what they held; empty without any.
        seconds: Processor time of the call.
    """

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    is_classification: bool
    sizes: tuple[int, ...]
    files: tuple[Path, ...] = ()
    content: str = ""
    seconds: float = 0.0


def call(name: str, source: str, arguments: str, seed: int) -> Returned:
    """Return what a function returns; called once for all seeds where it does not take one.

    It is called again where the files that it has read have changed since.

    Args:
        name: `package.module:function`.
        source: What identifies its source.
        arguments: Its keyword arguments, as JSON.
        seed: Seed of the runs.

    Raises:
        DataError: If it raises, or returns something else.
        ModelError: If it cannot be imported.
    """
    takes_seed = "seed" in inspect.signature(load_own(name, "data.kind")).parameters
    made = called(name, source, arguments, seed if takes_seed else None)
    if hash_files(made.files) != made.content:
        called.cache_clear()
        made = called(name, source, arguments, seed if takes_seed else None)
    return made


@functools.lru_cache(maxsize=64)
def called(name: str, source: str, arguments: str, seed: int | None) -> Returned:
    """Return what `call` returns, worked out once in a process."""
    del source
    return fresh(name, arguments, seed)


def fresh(name: str, arguments: str, seed: int | None) -> Returned:
    """Return what `call` returns, worked out now, with the files that were read for it."""
    function: Callable[..., Any] = load_own(name, "data.kind")
    keywords = json.loads(arguments)
    if seed is not None:
        keywords["seed"] = seed
    begun = time.process_time()
    try:
        with files_opened() as read:
            found = function(**keywords)
    except Exception as error:  # whatever a function of the user's own raises
        given = ", ".join(f"{key}={value!r}" for key, value in keywords.items())
        raise DataError(
            "kind",
            f"must name a function that can be called, but {name}({given}) raised "
            f"{type(error).__name__}: {error}",
        ) from error
    # Some read their files when they are imported.
    files = (*read, *files_read_by(name))
    taken = time.process_time() - begun
    return checked(name, found)._replace(files=files, content=hash_files(files), seconds=taken)


@functools.lru_cache(maxsize=64)
def check_repeats(name: str, source: str, arguments: str) -> None:
    """Check that a function returns the same when it is called again; one that is slow is not.

    Raises:
        DataError: If it does not: each worker would train on other data.
    """
    first = call(name, source, arguments, 0)
    if first.seconds > REPEATED_S:
        return
    takes_seed = "seed" in inspect.signature(load_own(name, "data.kind")).parameters
    second = fresh(name, arguments, 0 if takes_seed else None)
    if lacking := sorted({*first.files} - {*second.files}):
        raise DataError(
            "kind",
            f"must name a function that reads its files whenever it is called, but {name} did not "
            f"read {', '.join(map(str, lacking))} again: what it keeps would not be what the file "
            "holds. Leave functools.cache out: what it returns is kept",
        )
    unlike = [key for key in ARRAYS if not same_arrays(getattr(first, key), getattr(second, key))]
    if unlike:
        raise DataError(
            "kind",
            f"must name a function that returns the same whenever it is called, but {name} "
            f"returned another {', '.join(unlike)} the second time. Draw from "
            "np.random.default_rng(seed), where seed is a parameter of the function",
        )


def same_arrays(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Return whether two arrays have the same numbers; NaN equals NaN."""
    return left.shape == right.shape and np.array_equal(
        left, right, equal_nan=left.dtype.kind == "f"
    )


def checked(name: str, found: Any) -> Returned:
    """Return what a function has returned as arrays, checked.

    Raises:
        DataError: If it is no table or tuple of four arrays that fit.
    """
    table: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if isinstance(found, tuple | list) and len(found) == len(ARRAYS):
        table = dict(zip(ARRAYS, found, strict=True))
    if not set(ARRAYS) <= set(table) <= {*ARRAYS, "classes"}:
        raise DataError(
            "kind",
            f"must name a function that returns {', '.join(ARRAYS)}, or a table of these (and "
            f"`classes`, their number), but {name} returned {described(found)}",
        )
    x_train, y_train, x_test, y_test = (array_of(table[key]) for key in ARRAYS)
    if y_train.ndim == 2 and y_train.shape[1] == 1 and y_train.dtype.kind in "iub":
        raise DataError(
            "kind",
            f"must name a function whose y_train is [samples] for classes, or floats for numbers, "
            f"but {name} returned integers {list(y_train.shape)}, which may be meant as either. "
            "Return y.ravel() for classes, y.astype(float) for numbers",
        )
    for side, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if not (x.ndim and y.ndim and len(x) == len(y) and len(x)):
            raise DataError(
                "kind",
                "must name a function that returns as many inputs as targets, at least one, but "
                f"{name} returned x_{side} {list(x.shape)} and y_{side} {list(y.shape)}",
            )
    for key, array in zip(ARRAYS, (x_train, y_train, x_test, y_test), strict=True):
        check_finite(name, key, array)
    parts = Parts(Part(columns(x_train), y_train), Part(columns(x_test), y_test))
    is_classification = y_train.ndim == 1 and y_train.dtype.kind in "iub"
    is_integer = x_train.dtype in {np.dtype(np.int32), np.dtype(np.int64)}
    names = classes_of(parts, table.get("classes")) if is_classification else []
    done = finished_targets(parts, is_classification=is_classification, declared=names)
    assert done.test is not None, "there are test samples"
    rows = finished_inputs(done, "none", is_integer=is_integer)
    targets = [done.train.y, done.test.y]
    if is_classification:
        targets = [one_hot(each, len(names)) for each in targets]
    axes = parts.train.x.shape[1:]
    outputs = targets[0].shape[1]
    if targets[1].shape[1] != outputs:
        raise DataError(
            "kind", f"must name a function whose y_test has the {outputs} columns of y_train"
        )
    sizes = (int(is_classification), int(is_integer), outputs, len(x_train), len(x_test), *axes)
    arrays = (rows[0], targets[0], rows[1], targets[1])
    for array in arrays:
        array.flags.writeable = False
    return Returned(*arrays, is_classification, sizes)


def check_finite(name: str, key: str, array: NDArray[Any]) -> None:
    """Check that what a function has returned as `key` has no NaN and no infinity.

    Raises:
        DataError: If it has.
    """
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    is_odd = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    raise DataError(
        "kind",
        f"must name a function that returns finite numbers, but of what {name} returned as {key} "
        f"{int(is_odd.sum())} of {len(array)} samples have NaN or infinity, {key}"
        f"[{int(is_odd.argmax())}] first. Leave these samples out in the function",
    )


def array_of(value: Any) -> NDArray[Any]:
    """Return an array, a tensor or nested lists as an array; truth values as 0 and 1.

    Raises:
        DataError: If some numbers are masked.
    """
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise DataError(
            "kind",
            "must name a function that returns arrays without masked numbers, since what a mask "
            f"hides would be trained on, but {int(value.mask.sum())} are masked. Leave out these "
            "samples, or return `array.filled(number)`",
        )
    found = np.asarray(value)
    return found.astype(np.int64) if found.dtype.kind == "b" else found


def columns(x: NDArray[Any]) -> NDArray[Any]:
    """Return inputs with an axis of their own, where they are one number a sample."""
    return x[:, None] if x.ndim == 1 else x


def classes_of(parts: Parts, count: Any) -> list[str]:
    """Return the classes: 0 to count - 1, or to the largest label of the training samples.

    Raises:
        DataError: If there are fewer than two.
    """
    number = int(parts.train.y.max()) + 1 if count is None else int(count)
    if number < 2:
        raise DataError("kind", f"must return at least 2 classes, 0 and 1, but got {number}")
    return [str(i) for i in range(number)]


def described(found: Any) -> str:
    """Return what a function returned, for a message."""
    if isinstance(found, Mapping):
        return f"a table of {', '.join(map(str, found))}"
    if isinstance(found, tuple | list):
        return f"{len(found)} values"
    return f"a {type(found).__name__}"
