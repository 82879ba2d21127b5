"""A random order that depends on nothing but a seed and the numbers themselves."""

import numpy as np
from numpy.typing import NDArray


def random_keys(numbers: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a random-looking key for each number; different numbers have different keys.

    Sorting by the key shuffles, whatever the order of the rows, and rows that join later leave the order of
    the others as it was. The finaliser of SplitMix64 (Steele, Lea and Flood 2014,
    doi:10.1145/2660193.2660195), the same on every machine and for every version of a library.

    Args:
        numbers: (n,) such as shot numbers.
        seed: of the recipe.
    """
    start = _mix(np.array([seed % 2**64], dtype=np.uint64))
    return _mix(numbers.astype(np.int64).view(np.uint64) ^ start)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
