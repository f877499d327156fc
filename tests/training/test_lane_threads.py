import numpy as np
import pytest

from symstudy.training.engines.lane_threads import LaneThreads

SMALLEST = np.finfo(np.float32).tiny


@pytest.mark.parametrize("threads", [1, 2])
def test_numbers_too_small_to_be_normal_are_zero_in_the_kernels_alone(threads):
    found = []

    def work(lanes, scratch):
        found.append(np.full(4, SMALLEST) * np.float32(0.5))

    LaneThreads(lambda: None, threads).run(np.arange(2), work)
    assert len(found) == threads
    assert all((each == 0).all() for each in found)
    # The caller's own arithmetic is left as it was.
    assert (np.full(4, SMALLEST) * np.float32(0.5) > 0).all()
