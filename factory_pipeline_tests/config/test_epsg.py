"""EPSG codes with and without their authority."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from factory_pipeline.config.epsg import EpsgCode

CODE: TypeAdapter[int] = TypeAdapter(EpsgCode)


@pytest.mark.parametrize("value", [32633, "32633", "EPSG:32633", " epsg: 32633"])
def test_a_code_is_a_number_with_or_without_its_authority(value: Any) -> None:
    assert CODE.validate_python(value) == 32633


@pytest.mark.parametrize("value", ["utm", "EPSG:", "ESRI:102003", "-4326"])
def test_another_text_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(ValidationError, match="a number such as 32633, or EPSG:32633"):
        CODE.validate_python(value)
