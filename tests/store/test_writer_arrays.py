"""Arrays of measures as columns of Parquet."""

import numpy as np
import pyarrow as pa
import pytest

from symstudy.store.tables.writer import arrow_array


@pytest.mark.parametrize("values", [[2, -1, -1], [2.0, -1.0, np.nan]])
def test_a_count_that_does_not_apply_is_null_whatever_layers_share_its_column(values):
    assert arrow_array(np.array(values), pa.int64()).to_pylist() == [2, None, None]


def test_a_number_may_be_negative():
    assert arrow_array(np.array([-1.0, np.nan]), pa.float64()).to_pylist() == [-1.0, None]
