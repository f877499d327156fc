"""Augmentation: what is done to the inputs of each training batch, from the run's own stream.

Each operation draws from a stream of its own, a block of numbers a step, so that a batch depends on
the seed, the step and the samples alone: not on pack-mates, nor on how steps are cut into blocks.

Shapes: N samples of several steps, S steps, B samples of a batch, C channels, H rows, W columns.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.components import load_own, source_of
from symstudy.components.foreign_draws import called_and_drawn
from symstudy.errors import DataError, ModelError, nearest
from symstudy.identity import stream_key
from symstudy.streams import Stream

__all__ = ["Augmentation", "augment_steps", "augmentation_misfits", "sources_of"]


class Augmentation(NamedTuple):
    """What is done to the inputs of training batches.

    Attributes:
        names: Operations in order: names of `OPERATIONS`, or functions of the user's own.
        pixels: By how many pixels at most images are moved.
        input_shape: Axes of one input.
    """

    names: tuple[str, ...]
    pixels: int
    input_shape: tuple[int, ...]


class Draws(NamedTuple):
    """The random numbers that an operation may draw.

    Attributes:
        stream: Its stream of the seed.
        first: First step.
        steps: Number of steps.
        batch: Samples of a batch.
        pixels: By how many pixels at most images are moved.
    """

    stream: Stream
    first: int
    steps: int
    batch: int
    pixels: int


def shifted(x_NCHW: NDArray[Any], draws: Draws) -> NDArray[Any]:
    """Return images moved by up to `pixels` along both axes; what comes in is 0."""
    rows_NH, columns_NW = moved_places(x_NCHW.shape, draws)
    height, width = x_NCHW.shape[2:]
    out = gathered(x_NCHW, rows_NH.clip(0, height - 1), columns_NW.clip(0, width - 1))
    is_row_NH = (rows_NH >= 0) & (rows_NH < height)
    is_column_NW = (columns_NW >= 0) & (columns_NW < width)
    inside = is_row_NH[:, None, :, None] & is_column_NW[:, None, None, :]
    return np.where(inside, out, out.dtype.type(0))


def cropped(x_NCHW: NDArray[Any], draws: Draws) -> NDArray[Any]:
    """Return windows of images that are continued by up to `pixels` by reflection at the edges."""
    rows_NH, columns_NW = moved_places(x_NCHW.shape, draws)
    height, width = x_NCHW.shape[2:]
    return gathered(x_NCHW, reflected(rows_NH, height), reflected(columns_NW, width))


def flipped(x_NCHW: NDArray[Any], draws: Draws) -> NDArray[Any]:
    """Return images of which each is mirrored, left to right, with probability 1/2."""
    chance_SB = draws.stream.uniform_blocks(draws.first, draws.steps, draws.batch)
    is_flipped_N = chance_SB.reshape(-1) < 0.5
    return np.where(is_flipped_N[:, None, None, None], x_NCHW[..., ::-1], x_NCHW)


OPERATIONS: dict[str, Callable[[NDArray[Any], Draws], NDArray[Any]]] = {
    "shift": shifted,
    "crop": cropped,
    "flip": flipped,
}
"""Operations that images know, by name."""


def moved_places(
    shape: tuple[int, ...], draws: Draws
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row and the column that each pixel comes from, perhaps outside of the image."""
    _, _, height, width = shape
    bound = 2 * draws.pixels + 1
    moves_SB2 = draws.stream.integer_blocks(bound, draws.first, draws.steps, draws.batch, 2)
    moves_N2 = moves_SB2.reshape(-1, 2) - draws.pixels
    rows_NH = np.arange(height) + moves_N2[:, :1]
    columns_NW = np.arange(width) + moves_N2[:, 1:]
    return rows_NH, columns_NW


def reflected(places: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return places reflected at 0 and at `size` - 1 until they are inside."""
    if size == 1:
        return np.zeros_like(places)
    period = 2 * (size - 1)
    inside = np.abs(places) % period
    folded: NDArray[np.int64] = np.minimum(inside, period - inside)
    return folded


def gathered(
    x_NCHW: NDArray[Any], rows_NH: NDArray[np.int64], columns_NW: NDArray[np.int64]
) -> NDArray[Any]:
    """Return pixel (rows[n, h], columns[n, w]) of each image n at (h, w)."""
    count, channels = x_NCHW.shape[:2]
    found: NDArray[Any] = x_NCHW[
        np.arange(count)[:, None, None, None],
        np.arange(channels)[:, None, None],
        rows_NH[:, None, :, None],
        columns_NW[:, None, None, :],
    ]
    return found


def augment_steps(
    x: NDArray[Any], augmentation: Augmentation, seed: int, first: int, steps: int
) -> NDArray[Any]:
    """Return the inputs of the batches of `steps` steps with everything done to them.

    Args:
        x: Flat rows `[steps * batch, inputs]`, batch after batch.
        augmentation: What is done.
        seed: Seed of the runs.
        first: First step.
        steps: Number of steps.

    Raises:
        ModelError: If a function of the user's own returns other shapes, or no finite numbers.
    """
    batch = len(x) // steps
    shape = augmentation.input_shape
    for place, name in enumerate(augmentation.names):
        if ":" in name:
            x = own_steps(x, name, shape, f"augmentation {place}", (seed, first, steps))
            continue
        stream = Stream(seed, f"augmentation {place} {name}")
        images = x.reshape(len(x), -1, *shape[-2:])
        draws = Draws(stream, first, steps, batch, augmentation.pixels)
        x = OPERATIONS[name](images, draws).reshape(len(x), -1)
    return x


def own_steps(
    x: NDArray[Any], name: str, shape: tuple[int, ...], stream: str, of: tuple[int, int, int]
) -> NDArray[Any]:
    """Return the inputs of batches with the user's own function done to each.

    Args:
        x: Flat rows, batch after batch.
        name: `package.module:function`.
        shape: Axes of one input.
        stream: Name of the stream that the function draws from.
        of: Seed, first step, number of steps.

    Raises:
        ModelError: If it returns other shapes, or no finite numbers.
    """
    load_function(name)  # What importing it draws is no draw of a step.
    # Once for all steps: to look at the shared generators takes longer than a small step.
    done, drawn = called_and_drawn(lambda: list(own_batches(x, name, shape, stream, of)))
    if drawn:
        raise ModelError(
            f"data.augment must draw from the generator that it is given, but {name!r} draws "
            f"from {drawn}, which a run's seed does not decide."
        )
    return np.concatenate(done)


def own_batches(
    x: NDArray[Any], name: str, shape: tuple[int, ...], stream: str, of: tuple[int, int, int]
) -> Iterator[NDArray[Any]]:
    """Yield what `own_steps` returns, batch by batch."""
    seed, first, steps = of
    function = load_function(name)
    for s, batch in enumerate(np.split(x, steps)):
        key = stream_key(seed, f"{stream} {first + s}")
        generator = np.random.Generator(np.random.Philox(key=key))
        given = batch.reshape(len(batch), *shape).copy()
        found = np.asarray(function(given, generator))
        if found.shape != given.shape or not np.isfinite(found).all():
            raise ModelError(
                f"data.augment must return finite inputs of shape {list(given.shape)}, as it got "
                f"them, but {name!r} returned shape {list(found.shape)}"
                + ("." if found.shape != given.shape else " with NaN or infinity.")
            )
        yield found.reshape(len(batch), -1).astype(x.dtype, copy=False)


@functools.cache
def load_function(name: str) -> Callable[..., Any]:
    """Return a function of the user's own that augments.

    Raises:
        ModelError: If there is none.
    """
    found = load_own(name, "data.augment")
    if not callable(found):
        raise ModelError(
            f"data.augment must name functions of (x, generator), but {name!r} is a "
            f"{type(found).__name__}."
        )
    made: Callable[..., Any] = found
    return made


def augmentation_misfits(
    names: Sequence[str], input_shape: tuple[int, ...], *, is_integer: bool
) -> Iterator[tuple[str, str]]:
    """Yield the key and what must hold where operations are not known, or inputs no images."""
    for name in names:
        if ":" in name:
            continue
        if name not in OPERATIONS:
            close = nearest(name, OPERATIONS)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            what = f"must name {', '.join(OPERATIONS)} or package.module:function, but got {name!r}"
            yield "augment", f"{what}. {hint}".rstrip(". ")
        elif len(input_shape) not in (2, 3) or is_integer:
            what = "must be left out where inputs are no images [channels, rows, columns], but got "
            yield "augment", f"{what}{name!r} for inputs of shape {list(input_shape)}"


def sources_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return what identifies the source of each function of the user's own among `names`.

    Raises:
        DataError: If one cannot be imported, or is no function.
    """
    own = [name for name in names if ":" in name]
    for name in own:
        try:
            load_function(name)
        except ModelError as error:
            raise DataError("augment", str(error).removeprefix("data.augment ")) from error
    return tuple(source_of(name) for name in own)
