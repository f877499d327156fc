"""Splitting samples, numbering classes, and the standardisation fitted on the training part.

Numbers of the file's float64 and of integers become float64; those of float32, float16 and pixels
of 8 bits become float32. Work goes block by block, so that a large data set is held once.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.base import one_hot
from symstudy.datasets.readers.samples import Part, Parts
from symstudy.errors import DataError
from symstudy.streams import Stream

__all__ = [
    "Arrays",
    "Scaling",
    "class_names",
    "finished_inputs",
    "finished_targets",
    "number_classes",
    "require_exact",
    "require_finite",
    "require_spread",
    "split_off",
]

BLOCK = 4096
"""Samples that are worked on at a time."""
WIDEST = 1 << 53
"""Integers up to it are exact in float64."""
EXACT = 1 << 24
"""Integers below it are exact in float32, which the compiled kernels may be given."""

Scaling = Literal["none", "inputs", "channels"]


class Arrays(NamedTuple):
    """The arrays of a data set, inputs as flat rows.

    Attributes:
        x_train: Training inputs.
        y_train: Training targets, or the numbers of classes `[samples]`.
        x_test: Test inputs.
        y_test: Test targets or classes.
        input_shape: Axes of one sample.
        outputs: Number of targets or of classes.
    """

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    input_shape: tuple[int, ...]
    outputs: int


def split_off(part: Part, share: float, how: str, seed: int) -> Parts:
    """Return training and test samples, of one whole.

    Args:
        part: All samples.
        share: Share of them that are for the test; at least one is, and one is not.
        how: `random`, or `last` for those at the end.
        seed: Of the random order.

    Raises:
        DataError: If there are fewer than two samples.
    """
    count = len(part.x)
    if count < 2:
        raise DataError("train", f"must hold at least 2 samples to split, but got {count}")
    test = min(max(round(share * count), 1), count - 1)
    if how == "last":
        order = np.arange(count)
    else:
        assert how == "random", f"no such split: {how}"
        order = Stream(seed, "data_split").permutation(count)
    return Parts(part.rows(order[: count - test]), part.rows(order[count - test :]))


def class_names(labels: NDArray[Any], declared: Sequence[str]) -> list[str]:
    """Return the classes in order: those declared, or the different labels of the training file.

    Raises:
        DataError: If labels are neither text nor whole numbers, or there are fewer than two.
    """
    if declared:
        return list(declared)
    if labels.dtype.kind in "iub":
        names = [str(int(label)) for label in np.unique(labels)]
    elif labels.dtype.kind == "f":
        require_finite(labels, "target")
        if not np.array_equal(labels, np.round(labels)):
            odd = labels[labels != np.round(labels)][0]
            raise DataError(
                "target",
                f"must hold classes, whole numbers or text, but got {float(odd)!r}. Write "
                "task = 'regression' for numbers",
            )
        names = [str(int(label)) for label in np.unique(labels)]
    else:
        names = sorted({str(label) for label in labels})
    if len(names) < 2:
        raise DataError("target", f"must hold at least 2 classes, but got {names}")
    return names


def number_classes(labels: NDArray[Any], names: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return the place of each label among the classes.

    Raises:
        DataError: If one is no class.
    """
    places = {name: i for i, name in enumerate(names)}
    if labels.dtype.kind in "iubf":
        values, inverse = np.unique(labels, return_inverse=True)
        words = [str(int(v)) if float(v).is_integer() else str(v) for v in values.tolist()]
    else:
        values, inverse = np.unique(labels.astype(str), return_inverse=True)
        words = values.tolist()
    for i, word in enumerate(words):
        if word not in places:
            row = int(np.flatnonzero(inverse == i)[0]) + 1
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise DataError(
                "target",
                f"must hold the classes {known}, but row {row} of the {where} data is {word!r}. "
                "Name all classes in data.classes if the training data lacks one",
            )
    numbers: NDArray[np.int64] = np.array([places[word] for word in words], np.int64)[inverse]
    return numbers.reshape(-1)


def finished_targets(parts: Parts, *, is_classification: bool, declared: Sequence[str]) -> Parts:
    """Return the samples with targets as numbers of classes or as float64 columns, checked.

    Raises:
        DataError: If targets are not what the task needs.
    """
    assert parts.test is not None, "samples have been split"
    if is_classification:
        names = class_names(parts.train.y, declared)
        train = parts.train._replace(y=number_classes(parts.train.y, names, "training"))
        test = parts.test._replace(y=number_classes(parts.test.y, names, "test"))
        return Parts(train, test)
    found = []
    for part in (parts.train, parts.test):
        if part.y.dtype.kind not in "iubf":
            raise DataError(
                "target",
                f"must hold numbers, but got {part.y.flat[0]!r}. Write task = 'classification' for "
                "classes",
            )
        require_finite(part.y, "target")
        y = part.y.reshape(len(part.y), -1).astype(np.float64)
        found.append(part._replace(y=y))
    return Parts(*found)


def targets_of(y: NDArray[Any], outputs: int, *, is_classification: bool) -> NDArray[np.float64]:
    """Return targets as tasks have them: classes as one-hot rows."""
    return one_hot(y, outputs) if is_classification else y


def require_finite(values: NDArray[Any], key: str) -> None:
    """Check that there is no NaN and no infinity.

    Raises:
        DataError: If there is; names the first row, from 1 on, and how many have one.
    """
    if values.dtype.kind != "f":
        require_exact(values, key)
        return
    is_odd = np.zeros(len(values), np.bool_)
    for rows in blocks(len(values)):
        is_odd[rows] = ~np.isfinite(values[rows]).reshape(len(is_odd[rows]), -1).all(axis=1)
    if is_odd.any():
        raise DataError(
            key,
            f"must hold finite numbers, but {int(is_odd.sum())} of {len(values)} samples have NaN "
            f"or infinity, row {int(is_odd.argmax()) + 1} first. Mend or leave out these rows; "
            "missing = 'drop' leaves out those that lack a value",
        )


def require_exact(values: NDArray[Any], key: str) -> None:
    """Check that integers are exact in float64.

    Raises:
        DataError: If one is not.
    """
    if not values.size or values.dtype.itemsize < 8:
        return
    for extreme in (int(values.min()), int(values.max())):
        if abs(extreme) > WIDEST:
            raise DataError(
                key,
                "must hold whole numbers of at most 2^53 in size, beyond which numbers of 64 bits "
                f"are not told apart, but got {extreme}. Take an offset away, or make text of what "
                "is a name",
            )


def blocks(count: int) -> Iterator[slice]:
    """Yield slices of so many samples."""
    yield from (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def finished_inputs(
    parts: Parts, scaling: Scaling, *, is_integer: bool, divisor: float = 1.0
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return training and test inputs as flat rows, checked and standardised.

    Args:
        parts: Samples.
        scaling: What is made of mean 0 and variance 1 over the training part: `none`, each of the
            `inputs`, or each of the `channels`, which are the first axis of a sample. What does not
            vary is only centred.
        is_integer: Whether inputs stay integers.
        divisor: What numbers are divided by first.

    Raises:
        DataError: If they are no such numbers, or differ in shape.
    """
    assert parts.test is not None, "samples have been split"
    train, test = parts.train.x, parts.test.x
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            "test",
            f"must hold samples of the shape {list(train.shape[1:])} of the training data, but got "
            f"{list(test.shape[1:])}",
        )
    for values in (train, test):
        if values.dtype.kind not in "iubf":
            raise DataError("inputs", f"must hold numbers, but got {values.flat[0]!r}")
        require_finite(values, "inputs")
    if is_integer:
        return integer_rows(train), integer_rows(test)
    shift, factor = fit_scaling(train, scaling, divisor)
    return scaled_rows(train, shift, factor), scaled_rows(test, shift, factor)


def integer_rows(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return integers as flat rows of int64.

    Raises:
        DataError: If they are none, or too large.
    """
    if values.dtype.kind not in "iu":
        raise DataError(
            "integers", f"must be false where inputs are no integers, but got {values.dtype}"
        )
    rows = values.reshape(len(values), -1).astype(np.int64)
    if rows.size and (rows.min() < 0 or rows.max() >= EXACT):
        raise DataError(
            "inputs",
            f"must be from 0 to {EXACT - 1} where data.integers = true, but got "
            f"{int(rows.min())} to {int(rows.max())}",
        )
    return rows


def fit_scaling(
    values: NDArray[Any], scaling: Scaling, divisor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what is taken from each number of a sample, and what the rest is multiplied by."""
    shape = values.shape[1:]
    if scaling == "none":
        return np.zeros(shape), np.full(shape, 1.0 / divisor)
    if scaling == "channels" and len(shape) != 3:
        raise DataError(
            "standardise",
            "must be 'inputs' or 'none' where samples are no images [channels, rows, columns], but "
            f"got 'channels' for samples of shape {list(shape)}",
        )
    axes = (0,) if scaling == "inputs" else (0, 2, 3)
    count = len(values) * math.prod(values.shape[axis] for axis in axes[1:])
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum_of(values, axes, None) / count
        spread = np.sqrt(sum_of(values, axes, mean) / count)
    first = values[tuple(slice(0, 1 if axis in axes else None) for axis in range(values.ndim))]
    is_constant = ~varies(values, axes, first)
    mean[is_constant], spread[is_constant] = first[is_constant], divisor
    require_spread(spread, "inputs")
    return np.broadcast_to(mean, (1, *shape))[0], np.broadcast_to(1.0 / spread, (1, *shape))[0]


def require_spread(spread: NDArray[np.float64], key: str) -> None:
    """Check that standard deviations of what varies are numbers, so that it can be standardised.

    Raises:
        DataError: If one is 0 or infinite: numbers of 64 bits do not hold the squares.
    """
    with np.errstate(divide="ignore"):
        is_odd = ~(np.isfinite(spread) & np.isfinite(1.0 / spread))
    if is_odd.any():
        raise DataError(
            key,
            "must have a standard deviation that numbers of 64 bits hold where it is standardised, "
            f"but got {float(spread[is_odd][0])!r} of numbers that vary. Multiply them by a power "
            "of 10 first",
        )


def varies(values: NDArray[Any], axes: tuple[int, ...], first: NDArray[Any]) -> NDArray[np.bool_]:
    """Return what differs from the first of its kind along `axes`, which are kept.

    A spread of 0 does not tell: the mean of equal numbers is rounded, and so is not always one of
    them.
    """
    found = np.zeros(first.shape, np.bool_)
    for rows in blocks(len(values)):
        found |= (values[rows] != first).any(axis=axes, keepdims=True)
    return found


def sum_of(
    values: NDArray[Any], axes: tuple[int, ...], mean: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the sum over `axes`, which are kept; of squared deviations where a mean is given."""
    total = np.zeros([1 if axis in axes else size for axis, size in enumerate(values.shape)])
    for rows in blocks(len(values)):
        block = values[rows].astype(np.float64)
        total += (block if mean is None else np.square(block - mean)).sum(axis=axes, keepdims=True)
    return total


def scaled_rows(
    values: NDArray[Any], shift: NDArray[np.float64], factor: NDArray[np.float64]
) -> NDArray[Any]:
    """Return (values - shift) * factor as flat rows, in the precision of the file."""
    is_small = values.dtype in {np.dtype(name) for name in ("uint8", "float16", "float32")}
    out = np.empty((len(values), shift.size), np.float32 if is_small else np.float64)
    for rows in blocks(len(values)):
        block = (values[rows].astype(np.float64) - shift) * factor
        out[rows] = block.reshape(len(block), -1)
    return out
