"""Random numbers by torch are those of the kernels, to the bit but for normal numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symstudy.streams import Stream
from symstudy.training.philox import (
    integers,
    normals,
    philox_words,
    shuffled,
    stream_keys,
    uniforms,
)

SEEDS = [0, 5, 2**40]
KEYS = torch.from_numpy(stream_keys(SEEDS, "batches"))


def test_the_words_are_the_known_answers_of_random123():
    # philox4x32-10 of zeros, as tests/kernels/test_random.py has it.
    words = philox_words(torch.zeros(1, dtype=torch.int64), 0, 1, 4)
    assert [f"{word:08x}" for word in words.flatten().tolist()] == [
        "6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8",
    ]  # fmt: skip


@given(st.integers(0, 2**40), st.integers(1, 5), st.integers(1, 9), st.integers(1, 2**31 - 1))
def test_integers_and_uniform_numbers_have_the_bits_of_the_streams(first, steps, count, bound):
    words = philox_words(KEYS, first, steps, count)
    for row, seed in zip(words, SEEDS, strict=True):
        stream = Stream(seed, "batches")
        np.testing.assert_array_equal(
            integers(row, bound).numpy(), stream.integer_blocks(bound, first, steps, count)
        )
        np.testing.assert_array_equal(
            uniforms(row).numpy(), stream.uniform_blocks(first, steps, count)
        )


def test_normal_numbers_are_those_of_the_streams_but_for_the_last_bits():
    found = normals(philox_words(KEYS, 7, 20, 30))
    for row, seed in zip(found, SEEDS, strict=True):
        expected = Stream(seed, "batches").normal_blocks(7, 20, 30)
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-14, atol=1e-15)


@given(st.integers(0, 300), st.integers(1, 60), st.integers(1, 40))
def test_shuffled_rows_are_those_of_the_streams(start, length, count):
    found = shuffled(KEYS, start, length, count)
    for row, seed in zip(found, SEEDS, strict=True):
        expected = Stream(seed, "batches").shuffled(start, length, count)
        np.testing.assert_array_equal(row.numpy(), expected)


@pytest.mark.parametrize("bound", [1, 2**31 - 1])
def test_the_largest_word_stays_below_the_bound(bound):
    assert int(integers(torch.tensor(2**32 - 1), bound)) == bound - 1
