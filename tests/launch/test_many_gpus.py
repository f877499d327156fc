"""Packs for many GPUs, simulated by resources that Ray takes at their word."""

import itertools

import pytest
from many_gpus import simulate

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    # Ray's own warnings, in its own process management.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def test_every_gpu_has_one_pack_at_a_time_and_none_is_left_out():
    turns, _, _ = simulate(gpus=3, packs=12, seconds=2.0)
    assert len(turns) == 12
    of_gpu = {gpu: sorted(turn[1:] for turn in turns if turn.gpu == gpu) for gpu in "012"}
    assert all(of_gpu.values())
    for spans in of_gpu.values():
        for (_, stop), (start, _) in itertools.pairwise(spans):
            assert start >= stop
