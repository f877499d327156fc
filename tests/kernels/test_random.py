import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symstudy.kernels.random import philox
from symstudy.streams import Stream

seeds = st.integers(0, 2**31)


# kat_vectors of Random123, philox 4x32 10: key, block and position, each 64 bits, and the words.
KNOWN = [
    (0, 0, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    (2**64 - 1, 2**64 - 1, 2**64 - 1, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        0x299F31D0A4093822,
        0x0370734413198A2E,
        0x85A308D3243F6A88,
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("key", "block", "position", "words"), KNOWN)
def test_philox_gives_the_known_answers_of_random123(key, block, position, words):
    found = philox(np.uint64(key), np.uint64(block), np.uint64(position))
    assert [int(word) for word in found] == words


@given(seeds, st.integers(0, 10**9), st.integers(1, 5), st.integers(1, 9))
def test_numbers_do_not_depend_on_how_many_are_asked_for(seed, first, count, size):
    stream = Stream(seed, "test")
    together = stream.normal_blocks(first, count, size)
    apart = [stream.normal(size + 3, block=first + i)[:size] for i in range(count)]
    np.testing.assert_array_equal(together, apart)


@given(seeds, st.integers(1, 40), st.integers(0, 200), st.integers(1, 90))
def test_shuffled_rows_are_epochs_without_replacement(seed, count, start, length):
    stream = Stream(seed, "test")
    rows = stream.shuffled(start, length, count)
    endless = np.concatenate(
        [stream.permutation(count, epoch) for epoch in range(300 // count + 2)]
    )
    np.testing.assert_array_equal(rows, endless[start : start + length])
    assert sorted(stream.shuffled(count * 3, count, count)) == list(range(count))


def test_streams_of_different_names_and_seeds_differ():
    numbers = [Stream(s, n).uniform(8) for s in (0, 1) for n in ("a", "b")]
    assert len({tuple(row) for row in numbers}) == 4


def test_normal_numbers_are_normal():
    draws = Stream(3, "test").normal(200_000)
    assert abs(draws.mean()) < 0.01
    assert abs(draws.std() - 1) < 0.01
    assert stats.kstest(draws, "norm").pvalue > 1e-3


def test_uniform_numbers_and_integers_are_uniform():
    assert stats.kstest(Stream(4, "test").uniform(100_000), "uniform").pvalue > 1e-3
    counts = np.bincount(Stream(4, "test").integers(7, 70_000), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_permutations_are_uniform():
    counts: dict[tuple[int, ...], int] = {}
    for block in range(6000):
        order = tuple(Stream(5, "test").permutation(3, block).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3
