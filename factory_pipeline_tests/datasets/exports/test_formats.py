"""The formats by name."""

import subprocess
import sys

import pytest

from factory_pipeline.datasets.exports.formats import FORMATS, format_named
from factory_pipeline.errors import ArgumentError

SEED = ("RAW", "YOLO Darknet", "Semantic Segmentation")
"""The formats that the SDK was first asked for, as they are written there."""


@pytest.mark.parametrize("name", [*SEED, "COCO"])
def test_a_format_is_found_by_the_name_that_users_say(name: str) -> None:
    assert format_named(name).name == name


@pytest.mark.parametrize("name", ["yolo darknet", "YOLO", "", None, 3, ["RAW"]])
def test_any_other_name_is_refused_with_all_that_are_allowed(name: object) -> None:
    with pytest.raises(ArgumentError) as raised:
        format_named(name)
    assert raised.value.argument == "export_types"
    assert repr(name) in str(raised.value)
    assert all(repr(each) in str(raised.value) for each in FORMATS)


def test_slugs_are_different_and_can_name_folders_and_addresses() -> None:
    slugs = [each.slug for each in FORMATS.values()]
    assert len(set(slugs)) == len(slugs)
    assert all(slug.replace("-", "").isalnum() and slug == slug.lower() for slug in slugs)


@pytest.mark.integration
def test_naming_a_format_imports_no_raster_library() -> None:
    code = (
        "import sys; from factory_pipeline.datasets.exports.formats import format_named;"
        "format_named('COCO');"
        "assert not {'rasterio', 'shapely', 'h5py', 'pyproj'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
