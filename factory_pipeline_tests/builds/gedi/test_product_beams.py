"""The shots of one beam, and the values of its fields for some of them."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.builds.gedi.granules import GranuleFile, list_granules
from factory_pipeline.builds.gedi.product_beams import ProductBeam
from factory_pipeline.config.gedi_products import NODATA, gedi_products
from factory_pipeline.errors import GranuleError

NAME = "GEDI02_A_2020041000000_O06515_02_T00198_02_003_01_V002.h5"
FIRST = 2**53 + 1
"""The first shot number that a float can't hold."""


@pytest.fixture
def beam(tmp_path: Path) -> Iterator[ProductBeam]:
    with h5py.File(tmp_path / NAME, "w") as file:
        group = file.create_group("BEAM0101")
        group["shot_number"] = np.array([FIRST + 2, FIRST, FIRST + 1, FIRST], dtype=np.uint64)
        group["sensitivity"] = np.array([0.9, 0.7, NODATA, 0.1], dtype=np.float32)
        group["rh"] = np.arange(12, dtype=np.float32).reshape(4, 3)
        group["short"] = np.zeros(3, dtype=np.int8)
        group["land_cover_data/region"] = np.array(["a", "b", "c", "d"], dtype=h5py.string_dtype())
        yield ProductBeam(gedi_products()["L2A"], "002", _granule(tmp_path), group)


def _granule(folder: Path) -> GranuleFile:
    (granule,) = list_granules(str(folder))
    return granule


def test_shots_are_in_rising_order_and_repetitions_apart(beam: ProductBeam) -> None:
    assert beam.shots.tolist() == [FIRST, FIRST + 1, FIRST + 2]
    assert beam.repeated.tolist() == [FIRST]


def test_values_are_those_of_the_shots_and_no_data_is_nan(beam: ProductBeam) -> None:
    values = beam.values("sensitivity", None, beam.shots).to_list()
    assert values[0] == pytest.approx(0.7)
    assert np.isnan(values[1])
    assert values[2] == pytest.approx(0.9)


def test_of_a_profile_one_value_or_all_are_taken(beam: ProductBeam) -> None:
    some = beam.shots[1:]
    assert beam.values("rh", 2, some).to_list() == [8, 2]
    assert beam.values("rh", None, some).to_list() == [[6, 7, 8], [0, 1, 2]]


def test_texts_are_read(beam: ProductBeam) -> None:
    assert beam.values("land_cover_data/region", None, beam.shots).to_list() == ["b", "c", "a"]


def test_a_granule_without_the_beam_has_no_shots(beam: ProductBeam) -> None:
    without = ProductBeam(beam.product, "002", beam.granule, None)
    assert len(without.shots) == len(without.repeated) == 0


@pytest.mark.parametrize(
    ("field", "index", "message"),
    [
        (
            "sensitivty",
            None,
            r"sensitivty is missing in BEAM0101 of granule .* \(did you mean sensitivity\?\)",
        ),
        ("rh", 3, r"has no value \[3\]; its shape is \(4, 3\)"),
        ("sensitivity", 0, r"has no value \[0\]; its shape is \(4,\)"),
        ("short", None, r"has the shape \(3,\), not a value or a profile for each of 4 shots"),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    beam: ProductBeam, field: str, index: int | None, message: str
) -> None:
    with pytest.raises(GranuleError, match=message):
        beam.values(field, index, beam.shots)


def test_shot_numbers_must_be_integers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / NAME, "w") as file:
        group = file.create_group("BEAM0101")
        group["shot_number"] = np.array([1.5])
        with pytest.raises(GranuleError, match="must hold integers, not float64"):
            ProductBeam(gedi_products()["L2A"], "002", _granule(tmp_path), group)
