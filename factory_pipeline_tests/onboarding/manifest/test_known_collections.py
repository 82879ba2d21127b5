"""What is known of collections, and what of it goes into a manifest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.onboarding.checks.prescan import prefill, prescan
from factory_pipeline.onboarding.manifest.known_collections import (
    describe_bands,
    fitting_collections,
    known_collection,
    known_collections,
)
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.manifest.sections import DataSource
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import geotiff, local, mask, zip_of


def numbered(*names: str, **same: Any) -> list[dict[str, Any]]:
    return [{"index": index, "band_name": name, **same} for index, name in enumerate(names)]


def described(collection: str, *names: str, dtype: str = "uint16", **same: Any) -> list[dict[str, Any]]:
    return describe_bands(collection, numbered(*names, **same), are_named=True, dtype=dtype)


def test_every_collection_is_found_by_its_names_and_is_a_valid_data_source() -> None:
    names = [name for known in known_collections() for name in (known.id, *known.other_names)]
    assert len({name.lower() for name in names}) == len(names)
    for known in known_collections():
        assert all(known_collection(name) is known for name in (known.id, *known.other_names))
        assert known_collection(known.id.upper().replace("-", "_")) is known
        bands = describe_bands(
            known.id, numbered(*"abcdefghijklm"[: len(known.bands)]), False, known.dtypes[0]
        )
        source = DataSource.model_validate({"collection": known.id, "bands": bands})
        assert [band.band_name for band in source.bands] == [band.name for band in known.bands]
        assert all(band.description for band in source.bands)
        assert known.source.startswith("https://")


@pytest.mark.parametrize("name", ["", "my own drone", "sentinel"])
def test_another_collection_is_free_text(name: str) -> None:
    assert known_collection(name) is None
    bands = numbered("B02", "B03")
    assert describe_bands(name, bands, True, "uint16") == bands


def test_wavelengths_rise_along_the_bands_of_optical_sensors() -> None:
    for name in ("sentinel-2-l2a", "sentinel-2-l1c", "landsat-c2-l2", "hls2-s30"):
        centres = [band.centre for band in known_collection(name).bands]
        assert centres == sorted(centres)
        assert 0.44 < centres[0] < centres[-1] < 12.1


def test_bands_are_known_by_their_names_with_or_without_zeros() -> None:
    red, infrared, other = described("sentinel-2-l2a", "B4", "b8a", "NDVI")
    assert (red["rgb_band"], red["scaling_factor"], red["description"]) == ("R", 0.0001, "Red, 0.6646 µm")
    assert infrared["description"] == "Near infrared, narrow, 0.8647 µm"
    assert other == {"index": 2, "band_name": "NDVI"}
    assert [band["rgb_band"] for band in described("hls_l30", "Blue", "Green", "Red")] == ["B", "G", "R"]


def test_what_the_manifest_says_stays() -> None:
    (band,) = described("sentinel-2-l2a", "B02", description="my blue", scaling_factor=0.5)
    assert (band["description"], band["scaling_factor"]) == ("my blue", 0.5)
    first, second = describe_bands(
        "sentinel-2-l2a", [*numbered("B02"), {"index": 1, "band_name": "B08", "rgb_band": "R"}], True, None
    )
    assert "rgb_band" not in first
    assert second["rgb_band"] == "R"


def test_pixels_of_another_type_were_scaled_by_somebody() -> None:
    assert described("sentinel-2-l2a", "B02", dtype="float32")[0]["scaling_factor"] == 1
    assert described("landsat-c2-l2", "SR_B2", "ST_B10")[1]["scaling_factor"] == 0.00341802


def test_bands_without_names_are_known_by_their_place_where_the_count_fits() -> None:
    bands = describe_bands("sentinel-1-rtc", numbered("Band 0", "Band 1"), False, "float32")
    assert [band["band_name"] for band in bands] == ["VV", "VH"]
    three = numbered("Band 0", "Band 1", "Band 2")
    assert describe_bands("sentinel-1-rtc", three, False, "float32") == three


@pytest.mark.parametrize(
    ("names", "fitting"),
    [
        (["B02", "B8A"], ("sentinel-2-l2a", "sentinel-2-l1c", "hls2-s30")),
        (["SR_B2", "SR_B3", "ST_B10"], ("landsat-c2-l2",)),
        (["vv", "vh"], ("sentinel-1-grd", "sentinel-1-rtc")),
        (["Red", "Green", "Blue", "NIR"], ("naip",)),
        (["Red", "Green", "Blue"], ()),
        (["B02", None], ()),
        (["B02", "NDVI"], ()),
        ([], ()),
    ],
)
def test_which_collections_have_these_bands(names: list[str | None], fitting: tuple[str, ...]) -> None:
    assert fitting_collections(names) == fitting


def test_the_pre_scan_names_them_and_fills_them_in(tmp_path: Path) -> None:
    values = np.arange(192, dtype=np.uint16).reshape(3, 8, 8)
    files = {"a_merged.tif": geotiff(values, ("SR_B4", "SR_B5", "SR_B6")), "a_mask.tif": mask()}
    report = prescan(str(zip_of(tmp_path / "a.zip", files)), ("_merged.tif",), "_mask.tif", local(tmp_path))
    [note] = [one for one in report.notes if one.startswith("The bands of")]
    assert note.startswith("The bands of '_merged.tif' have the names of landsat-c2-l2: `collection` of")
    sources = [{"file_suffix": "_merged.tif", "collection": "landsat-c2-l2"}]
    given = UploadManifest.parse({**MANIFEST, "dataset_url": "a.zip", "dataset_name": "a"}, "a.yaml")
    assert prefill(report, given).data_sources[0].bands[0].description == ""
    named = UploadManifest.parse(
        {**MANIFEST, "dataset_url": "a.zip", "dataset_name": "a", "data_sources": sources}, "a.yaml"
    )
    bands = prefill(report, named).data_sources[0].bands
    assert [band.rgb_band for band in bands] == ["R", None, None]
    assert [band.scaling_factor for band in bands] == [0.0000275] * 3
    assert bands[2].description == "Shortwave infrared 1, 1.6085 µm"
    assert named.data_sources[0].bands == (), "what the user said decides the key, not what is known"
