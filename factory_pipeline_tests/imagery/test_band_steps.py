"""Names of the bands of a series, and which bands hold codes."""

import pytest

from factory_pipeline.imagery.band_steps import bare_band, split_steps, step_bands
from factory_pipeline.imagery.class_codes import code_band, holds_codes


@pytest.mark.parametrize(("bands", "steps"), [(("B02", "SCL"), 3), (("vv",), 12), (("a_t01", "b"), 2)])
def test_a_series_is_known_by_the_names_of_its_bands(bands: tuple[str, ...], steps: int) -> None:
    names = step_bands(bands, steps)
    assert len(set(names)) == len(bands) * steps
    assert split_steps(names) == (bands, steps)
    assert [bare_band(name) for name in names] == [*bands] * steps


@pytest.mark.parametrize(
    "names",
    [
        ("B02", "B03"),
        ("B02_t01", "B03_t01"),  # one step
        ("B02_t01", "B03_t01", "B02_t02"),  # a band is missing
        ("B02_t01", "B02_t02", "B03_t01", "B03_t02"),  # band after band
        ("B02_t02", "B02_t03"),
    ],
)
def test_other_names_are_no_series(names: tuple[str, ...]) -> None:
    assert split_steps(names) == (names, 1)


def test_bands_of_codes_are_known_by_their_names_at_every_step() -> None:
    assert holds_codes("s2", "SCL")
    assert holds_codes("s2", "SCL_t03")
    assert holds_codes("WorldCover", "class")
    assert not holds_codes("s2", "B02_t03")
    assert code_band("Fmask") == "Fmask"
    assert holds_codes("cover", code_band("map"))
