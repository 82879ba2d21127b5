"""Bands of codes are recognised by their names alone."""

import pytest

from factory_pipeline.imagery.class_codes import code_band, holds_codes


@pytest.mark.parametrize(
    ("modality", "band"),
    [("WorldCover", "band_1"), ("s2", "SCL"), ("s2", "fmask"), ("clouds", "quality codes")],
)
def test_a_name_of_modality_or_band_tells_codes(modality: str, band: str) -> None:
    assert holds_codes(modality, band)


@pytest.mark.parametrize(("modality", "band"), [("s2", "B04"), ("s2", "sclera"), ("codes", "red")])
def test_other_bands_are_measured(modality: str, band: str) -> None:
    assert not holds_codes(modality, band)


def test_a_band_that_is_declared_as_codes_is_recognised_later() -> None:
    assert code_band("SCL") == "SCL"
    assert code_band("cover") == "cover codes"
    assert holds_codes("", code_band("cover"))
