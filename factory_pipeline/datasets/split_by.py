"""The splits that time or a property of the items decides, as a request says it: the rule of recipes."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from factory_pipeline.config.dataset_splits import Splits
from factory_pipeline.config.problems import problems_of
from factory_pipeline.errors import ArgumentError
from factory_pipeline.splits.names import SPLITS

WAYS = ("time", "column", "given")
"""What may decide; percentages, blocks and buffers are other arguments of a request."""
_KEYS = ("by", "column", *SPLITS)


def read_split_by(value: Any) -> Splits:
    """Read the `split_by` of a request.

    Args:
        value: a mapping with `by` (time, column or given), `column` but for time, and what is in `train`,
            `test` and `validation`: spans of time, or values of the property; of `given` the property itself
            holds the names of the splits.

    Raises:
        ArgumentError: it is not allowed.
    """
    if not isinstance(value, Mapping) or value.get("by") not in WAYS:
        example = "{'by': 'column', 'column': 'year', 'train': [2019, 2020], 'test': [2021]}"
        allowed = f"it must be a mapping in which by is time, column or given, such as {example}"
        raise ArgumentError("split_by", value, allowed)
    for key in value:
        if key not in _KEYS:
            raise ArgumentError(f"split_by.{key}", value[key], f"the only keys are {', '.join(_KEYS)}")
    try:
        return Splits.model_validate(dict(value))
    except ValidationError as error:
        raise ArgumentError("split_by", value, problems_of(error, Splits, value)) from None


def split_by_as_json(rule: Splits) -> dict[str, Any]:
    """Return a rule as JSON values; `read_split_by` reads them again."""
    return rule.model_dump(mode="json", include=set(_KEYS), exclude_none=True)
