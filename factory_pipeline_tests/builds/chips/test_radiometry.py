"""Taking the offset away from counts."""

import numpy as np
import pytest

from factory_pipeline.builds.chips.radiometry import as_counts, remove_offset


def test_every_count_is_a_thousand_lower_and_no_data_stays():
    counts = np.arange(65536, dtype=np.uint16)
    lowered = remove_offset(counts, 1000)
    assert lowered.dtype == np.uint16
    assert lowered[0] == 0
    np.testing.assert_array_equal(lowered[1002:], counts[1002:] - 1000)
    assert (lowered[1:1002] == 1).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 32767, 32768, 65535], np.uint16), [0, 32767, 32768, 65535]),
        (np.array([-3, 0, 32767], np.int16), [0, 0, 32767]),
        (np.array([-1, 40000, 70000], np.int32), [0, 40000, 65535]),
    ],
)
def test_counts_never_wrap(values, expected):
    counts = as_counts(values)
    assert counts.dtype == np.uint16
    assert counts.tolist() == expected
