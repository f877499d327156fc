"""A table or arrays of the user's own: csv, parquet, npz, npy and safetensors."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from symstudy.components import KnownBy, component
from symstudy.datasets.readers.columns import format_of, open_columns
from symstudy.datasets.readers.comma_separated import is_number
from symstudy.datasets.readers.places import Source, find_path
from symstudy.datasets.readers.samples import Part, Parts
from symstudy.datasets.readers.split import (
    Arrays,
    class_names,
    finished_inputs,
    finished_targets,
    require_exact,
    require_finite,
    require_spread,
    split_off,
)
from symstudy.datasets.readers.table import Columns, is_missing, pick
from symstudy.datasets.stored import AbstractStoredConfig
from symstudy.errors import DataError

__all__ = ["FileConfig"]

PATHS = ("train", "train_labels", "test", "test_labels")


@component
class FileConfig(AbstractStoredConfig):
    """Samples of a file of your own: csv, parquet, npz, npy or safetensors.

    In a table (csv, parquet, a structured npy) a row is a sample; in an archive of arrays (npz,
    safetensors, npy) the first axis counts samples, and the others are kept: images stay images.
    """

    kind: Literal["file"] = "file"
    """Samples of a file: csv, parquet, npz, npy or safetensors."""
    task: Literal["regression", "classification"]
    """Whether targets are numbers or classes."""
    train: Annotated[str, KnownBy("data_source")]
    """File of the training samples: beside the study file, below the working directory, below the
    folder SYMSTUDY_DATA, or from the root."""
    test: Annotated[str, KnownBy("data_source")] = ""
    """File of the test samples; without one they are split off the others."""
    train_labels: Annotated[str, KnownBy("data_source")] = ""
    """File of the training targets, where it is one of its own, as with npy."""
    test_labels: Annotated[str, KnownBy("data_source")] = ""
    """File of the test targets, where it is one of its own."""
    inputs: tuple[str, ...] = ()
    """Columns or arrays of the inputs; if left out all columns but the targets, or the one other
    array."""
    target: str | tuple[str, ...] = "y"
    """Column or array of the targets; a list of them for several targets of a regression."""
    test_inputs: tuple[str, ...] = ()
    """Arrays of the test inputs, where they have other names than those of the training."""
    test_target: str | tuple[str, ...] = ""
    """Array of the test targets, where it has another name."""
    classes: tuple[str, ...] = ()
    """Classes in order, where the training file lacks one; by default those that it has, sorted."""
    split: Literal["random", "last"] = "random"
    """Which samples are for the test where there is no test file: random ones, or the last."""
    split_column: str = ""
    """Column that says "train" or "test" of each sample, in place of data.split."""
    split_seed: Annotated[int, Ge(0)] = 0
    """Seed of the random split; it is the same for every seed of the study."""
    test_share: Annotated[float, Gt(0), Lt(1)] = 0.2
    """Share of the samples that are for the test where there is no test file."""
    missing: Literal["refuse", "drop"] = "refuse"
    """Whether samples that lack a value are a mistake, or left out."""
    standardise: Literal["none", "inputs", "channels", "all"] = "none"
    """What is given mean 0 and variance 1 over the training part: nothing, each input, each channel
    of images, or each input and each target of a regression."""
    integers: bool = False
    """Whether inputs stay integers, such as the numbers of tokens, for a torch module."""
    input_shape: tuple[int, ...] = ()
    """Axes of one input where the file has it flat, such as [1, 28, 28]; by default the file's."""

    def __post_init__(self) -> None:
        """Check that no key goes unread."""
        if self.task == "regression" and self.classes:
            raise ValueError(
                "`data.classes` must be left out for task = 'regression', but got "
                f"{list(self.classes)}"
            )
        if self.standardise == "all" and self.task == "classification":
            raise ValueError(
                "`data.standardise` must be 'inputs' for task = 'classification', but got 'all'"
            )
        if self.integers and self.standardise != "none":
            raise ValueError(
                "`data.standardise` must be 'none' where data.integers = true, but got "
                f"{self.standardise!r}"
            )
        if self.test and self.split_column:
            raise ValueError(
                "`data.split_column` must be left out where data.test names a file, but got "
                f"{self.split_column!r}"
            )

    @property
    def classifies(self) -> bool:
        """Whether targets are classes."""
        return self.task == "classification"

    @property
    def keeps_integers(self) -> bool:
        """Whether inputs are handed on as integers."""
        return self.integers

    def settled(self) -> Self:
        """Return the configuration with absolute paths."""
        found: dict[str, Any] = {
            key: str(find_path(key, getattr(self, key))) for key in PATHS if getattr(self, key)
        }
        return replace(self, **found)

    def sources(self) -> list[Source]:
        """Return the files, named for their key and format."""
        found = [(key, find_path(key, getattr(self, key))) for key in PATHS if getattr(self, key)]
        for key, path in found:
            if not path.is_file():
                raise DataError(key, f"must name a file, but {str(path)!r} is a folder")
        return [Source(key + format_of(path, key), path) for key, path in found]

    def read(self, sources: Sequence[Source]) -> Arrays:
        """Return the arrays of the files."""
        paths = {source.name.partition(".")[0]: source.path for source in sources}
        train = self.side(paths, "train", self.inputs, self.target)
        if self.split_column:
            parts = self.by_column(paths["train"], train)
        elif "test" in paths:
            names = self.test_inputs or self.inputs, self.test_target or self.target
            parts = Parts(train.part, self.side(paths, "test", *names).part)
        else:
            parts = split_off(train.part, self.test_share, self.split, self.split_seed)
        return self.finished(parts, train.part)

    def finished(self, parts: Parts, whole: Part) -> Arrays:
        """Return the arrays of training and test samples; classes are those of `whole`."""
        is_classification = self.classifies
        names = class_names(whole.y, self.classes) if is_classification else []
        done = finished_targets(parts, is_classification=is_classification, declared=names)
        assert done.test is not None, "samples have been split"
        scaling = "inputs" if self.standardise == "all" else self.standardise
        x_train, x_test = finished_inputs(done, scaling, is_integer=self.integers)
        y_train, y_test = done.train.y, done.test.y
        if self.standardise == "all":
            with np.errstate(over="ignore", invalid="ignore"):
                mean, spread = y_train.mean(axis=0), y_train.std(axis=0)
            # Told by the numbers: the mean of equal ones is rounded, and their spread then not 0.
            is_constant = (y_train == y_train[0]).all(axis=0)
            mean[is_constant], spread[is_constant] = y_train[0, is_constant], 1.0
            require_spread(spread, "target")
            y_train, y_test = (y_train - mean) / spread, (y_test - mean) / spread
        outputs = len(names) if is_classification else y_train.shape[1]
        return Arrays(x_train, y_train, x_test, y_test, parts.train.x.shape[1:], outputs)

    def side(
        self,
        paths: dict[str, Path],
        key: str,
        inputs: Sequence[str],
        target: str | tuple[str, ...],
    ) -> "Side":
        """Return the samples of the file of a key, `train` or `test`, without those that lack one.

        Raises:
            DataError: If it has no such columns, or values are missing and refused.
        """
        path, labels = paths[key], paths.get(f"{key}_labels")
        columns = open_columns(path, key)
        targets = [target] if isinstance(target, str) else list(target)
        apart = self.label_columns(labels, f"{key}_labels", targets)
        if apart is None and len(columns.names) == 1 and not columns.is_table:
            raise DataError(
                f"{key}_labels",
                f"must be given, since {str(path)!r} holds one array; or name an archive (npz) "
                "with inputs and targets in data.train",
            )
        if apart is None:
            pick(columns, targets, "target", str(path))
        others = {*(targets if apart is None else ()), self.split_column}
        names = pick(columns, inputs, "inputs", str(path)) or [
            name for name in columns.names if name not in others
        ]
        known = sorted({*targets} & {*names}) if apart is None else []
        if known:
            raise DataError(
                "inputs",
                f"must not name what is to be learned, but {known[0]!r} is a target too",
            )
        if not (inputs or columns.is_table) and len(names) > 1:
            raise DataError(
                "inputs",
                f"must be given where a file has several arrays: {', '.join(names)} in "
                f"{str(path)!r}",
            )
        read = [*names, *(targets if apart is None else ())]
        found = columns.read(read, targets if self.classifies else ())
        if apart is not None:
            found = {**{name: found[name] for name in names}, **apart}
            targets = list(apart)
        return self.assembled(found, names, targets, key)

    def label_columns(
        self, path: Path | None, key: str, targets: Sequence[str]
    ) -> dict[str, NDArray[Any]] | None:
        """Return the columns of a file of targets, by names that no input has; None without one."""
        if path is None:
            return None
        columns = open_columns(path, key)
        names = columns.names if len(columns.names) == 1 else pick(columns, targets, key, str(path))
        found = columns.read(names, names if self.classifies else ())
        return {f"target {name}": values for name, values in found.items()}

    def assembled(
        self,
        found: dict[str, NDArray[Any]],
        names: Sequence[str],
        targets: Sequence[str],
        key: str,
    ) -> "Side":
        """Return the samples of columns, without those that lack a value.

        Raises:
            DataError: If columns differ in length, or values are missing and refused.
        """
        counts = {name: len(values) for name, values in found.items() if values.ndim}
        if len(set(counts.values())) != 1 or len(counts) != len(found):
            raise DataError(
                "inputs",
                "must name arrays with a row a sample, as many as there are targets, but their "
                f"lengths are { ({name: list(found[name].shape) for name in found}) }",
            )
        lacks = np.zeros(next(iter(counts.values())), np.bool_)
        for name, values in found.items():
            missing = is_missing(values)
            if missing.any() and self.missing == "refuse":
                raise DataError(
                    key,
                    f"must have a value in every row, but {name.removeprefix('target ')!r} lacks "
                    f"{int(missing.sum())} of {len(missing)}, row {int(missing.argmax()) + 1} "
                    "first. Type missing = 'drop' to leave these rows out",
                )
            lacks |= missing
            if name in names and values.dtype.kind in "iu":
                require_exact(values, "inputs")
        kept = np.flatnonzero(~lacks)
        if not len(kept):
            raise DataError(key, "must hold samples, but every row lacks a value or there is none")
        x = self.shaped(input_array([found[name] for name in names], names))
        y = target_array([found[name] for name in targets], is_classes=self.classifies)
        part = Part(x, y) if len(kept) == len(lacks) else Part(x, y).rows(kept)
        require_finite(part.x, "inputs")
        return Side(part, kept)

    def shaped(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return inputs with the axes that the table gives them.

        Raises:
            DataError: If they have another number of values.
        """
        if not self.input_shape:
            return x
        size = int(np.prod(x.shape[1:]))
        if int(np.prod(self.input_shape)) != size:
            raise DataError(
                "input_shape",
                f"must have a product of {size}, the inputs of a sample, but got "
                f"{list(self.input_shape)}",
            )
        return x.reshape(len(x), *self.input_shape)

    def by_column(self, path: Path, side: "Side") -> Parts:
        """Return training and test samples as `split_column` says.

        Raises:
            DataError: If it says anything but train or test, or one of them of none.
        """
        columns: Columns = open_columns(path, "train")
        pick(columns, [self.split_column], "split_column", str(path))
        words = columns.read([self.split_column], [self.split_column])[self.split_column]
        words = words[side.rows].astype(str)
        odd = sorted(set(words.tolist()) - {"train", "test"})
        if odd:
            raise DataError(
                "split_column", f"must name a column of 'train' and 'test', but it has {odd[0]!r}"
            )
        is_test = words == "test"
        if is_test.all() or not is_test.any():
            raise DataError("split_column", f"must name samples of both, but all are {words[0]!r}")
        return Parts(side.part.rows(~is_test), side.part.rows(is_test))


class Side(NamedTuple):
    """The samples of one file, and which rows of it they are.

    Attributes:
        part: The samples.
        rows: Their rows in the file.
    """

    part: Part
    rows: NDArray[np.int64]


def input_array(arrays: Sequence[NDArray[Any]], names: Sequence[str]) -> NDArray[Any]:
    """Return inputs as one array: a single one with its axes, several as columns of numbers.

    Raises:
        DataError: If there is none, or one holds no numbers.
    """
    if not arrays:
        raise DataError("inputs", "must name a column, but there is none beside the target")
    for array, name in zip(arrays, names, strict=True):
        if array.dtype.kind not in "iuf":
            values = array.reshape(len(array), -1).tolist()
            row = next(i for i, each in enumerate(values) if not all(map(is_numeric, each)))
            odd = next(value for value in values[row] if not is_numeric(value))
            raise DataError(
                "inputs",
                f"must be columns of numbers, but {name!r} holds {odd!r} in row {row + 1}. Mend it "
                "or leave the column out; of a column of words write one of 0 and 1 for each word",
            )
    if len(arrays) == 1 and arrays[0].ndim > 1:
        return arrays[0]
    flat = [array.reshape(len(array), -1) for array in arrays]
    return np.concatenate(flat, axis=1)


def is_numeric(value: object) -> bool:
    """Return whether a value is a number, or the text of one in a column of words."""
    return isinstance(value, int | float) or (isinstance(value, str) and is_number(value))


def target_array(arrays: Sequence[NDArray[Any]], *, is_classes: bool) -> NDArray[Any]:
    """Return targets: a column of classes, or columns of numbers.

    Raises:
        DataError: If classes are more than a column.
    """
    flat = [array.reshape(len(array), -1) for array in arrays]
    columns = sum(each.shape[1] for each in flat)
    if not is_classes:
        return np.concatenate(flat, axis=1)
    if columns != 1:
        raise DataError(
            "target",
            f"must be one column of classes, but got {columns}. Write the number of the class in "
            "place of a row of 0 and 1",
        )
    return flat[0][:, 0]
