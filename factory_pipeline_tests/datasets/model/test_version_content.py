"""Splits in their order, those with samples alone."""

from typing import Any

import pytest

from factory_pipeline.datasets.model.version_content import all_samples, filled_splits


class _Content:
    def __init__(self, **counts: int) -> None:
        self.counts = counts

    def samples(self, split: str) -> list[str]:
        return [f"{split} {number}" for number in range(self.counts.get(split, 0))]


@pytest.mark.parametrize(
    ("counts", "filled"),
    [
        ({"validation": 1, "train": 2, "test": 3}, ["train", "test", "validation"]),
        ({"validation": 1, "train": 0}, ["validation"]),
        ({}, []),
    ],
)
def test_splits_come_in_one_order(counts: dict[str, int], filled: list[str]) -> None:
    content: Any = _Content(**counts)
    assert sorted(filled_splits(content)) == sorted(filled)
    samples = list(all_samples(content))
    assert len(samples) == sum(counts.values())
    order = list(dict.fromkeys(str(sample).split()[0] for sample in samples))
    assert order == filled_splits(content)
