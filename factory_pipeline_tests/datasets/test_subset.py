"""What a request may say of the part of the items that it takes."""

from typing import Any

import pytest

from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.subset import Subset
from factory_pipeline.errors import ArgumentError

SHARES = {"train": 60, "test": 20, "validation": 20}


def asked(subset: Any) -> DatasetRequest:
    return DatasetRequest.of(dataset_name="d", split_info=SHARES, labels=[], subset=subset)


def test_a_subset_is_kept_in_one_form() -> None:
    request = asked({"size": 5, "by": ("label", "day")})
    assert request.subset == {"size": 5, "by": ["label", "day"], "cover": [], "seed": 42}
    assert request.subset_rule == Subset(5, ("label", "day"))
    assert DatasetRequest.from_json(request.arguments()) == request
    assert asked(None).subset_rule is None


@pytest.mark.parametrize(
    ("subset", "said"),
    [
        (5, r"subset is 5; it must be a mapping with the size"),
        ({"by": ["label"]}, r"subset is .*; it must be a mapping with the size"),
        ({"size": 0}, r"subset.size is 0; it must be a whole number, at least 1"),
        ({"size": True}, r"subset.size is True; it must be a whole number"),
        ({"size": 5, "seed": 0.5}, r"subset.seed is 0.5; it must be a whole number"),
        ({"size": 5, "even": 1}, r"subset.even is 1; the only keys are size, by, cover, seed"),
        ({"size": 5, "by": "label"}, r"subset.by is 'label'; it must be a list"),
        ({"size": 5, "by": ["day", "day"]}, r"subset.by\[1\] is 'day'; it occurs twice"),
        ({"size": 5, "cover": [""]}, r"subset.cover\[0\] is ''; it must be a text"),
        ({"size": 5, "by": ["day"], "cover": ["agbd"]}, r"subset.cover is .*; it is instead of by"),
    ],
)
def test_what_is_not_allowed_is_named(subset: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        asked(subset)
