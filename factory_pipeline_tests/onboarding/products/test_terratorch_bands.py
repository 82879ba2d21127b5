"""Bands by TerraTorch's names."""

from factory_pipeline.onboarding.manifest.sections import DataSource
from factory_pipeline.onboarding.products.terratorch_bands import has_rgb, hls_names, rgb_indices


def source(*bands: str, collection: str = "", **rgb: str) -> DataSource:
    """A source with bands in this order; `rgb` says which of them is R, G or B."""
    return DataSource.model_validate(
        {
            "file_suffix": ".tif",
            "modality_tag": "image",
            "collection": collection,
            "bands": [
                {"index": index, "band_name": name, **({"RGB_band": rgb[name]} if name in rgb else {})}
                for index, name in enumerate(bands)
            ],
        }
    )


def test_words_and_numbers_of_sentinel2_are_known():
    assert hls_names(source("Red", "swir 1", "other")) == ["RED", "SWIR_1", "other"]
    assert hls_names(source("B04", "B8A", "B11", collection="sentinel-2-l2a")) == [
        "RED",
        "NIR_NARROW",
        "SWIR_1",
    ]
    assert hls_names(source("B04", collection="landsat")) == ["B04"]


def test_a_name_that_is_taken_is_not_given_again():
    assert hls_names(source("red", "B04", collection="sentinel-2-l2a")) == ["RED", "B04"]


def test_red_green_and_blue_are_found_else_the_first_three():
    declared = source("b", "g", "r", r="R", g="G", b="B")
    assert has_rgb(declared)
    assert rgb_indices(declared) == [2, 1, 0]
    assert rgb_indices(source("a", "b")) == [0, 1, 1]
    assert not has_rgb(source("a", "b"))
