"""Collections and providers are data: the files that come with the software, and one's own."""

from pathlib import Path

import pytest

from factory_pipeline.config.raster_collection import (
    find_collection,
    known_collections,
    known_providers,
    load_collection,
)
from factory_pipeline.errors import RecipeError
from factory_pipeline.stac.signing import SIGNERS

OWN = """
id: my-mosaic
title: My mosaic
assets:
  red: {key: image, band: 1, dtype: uint8, pixel_size: 5}
"""


def test_every_file_is_of_the_collection_that_it_is_named_by() -> None:
    folder = Path(find_collection.__code__.co_filename).with_name("collections")
    assert {path.stem for path in folder.glob("*.yaml")} == known_collections().keys()


def test_the_collections_that_the_field_uses_are_known() -> None:
    assert known_collections().keys() >= {
        "alos-palsar-mosaic",
        "cop-dem-glo-30",
        "cop-dem-glo-90",
        "esa-worldcover",
        "hls2-l30",
        "hls2-s30",
        "io-lulc-annual-v02",
        "jrc-gsw",
        "landsat-c2-l2",
        "modis-13Q1-061",
        "naip",
        "sentinel-1-grd",
        "sentinel-1-rtc",
        "sentinel-2-l1c",
        "sentinel-2-l2a",
    }


@pytest.mark.parametrize("name", known_collections())
def test_a_known_collection_names_known_providers_and_assets(name: str) -> None:
    collection = known_collections()[name]
    assert collection.providers.keys() <= known_providers().keys()
    assert collection.license
    assert collection.license_url.startswith("https://")
    assert collection.producers
    for entry in collection.providers.values():
        assert entry.assets.keys() <= collection.assets.keys()
    if collection.clear is not None:
        clear = collection.assets[collection.clear.asset]
        named = clear.classes if collection.clear.keep is not None else clear.bits
        assert set(collection.clear.keep or collection.clear.clear_bits or ()) <= (named or {}).keys()


def test_signers_of_providers_are_known() -> None:
    assert {provider.signer for provider in known_providers().values()} - {None} <= SIGNERS.keys()
    assert {provider.otherwise for provider in known_providers().values()} - {
        None
    } <= known_providers().keys()


def test_a_collection_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OWN)
    collection = find_collection("mine.yaml", "sources.mine.collection", tmp_path)
    assert collection.key_of("red", "planetary-computer") == "image"


def test_an_unknown_collection_is_told_with_the_nearest_names() -> None:
    with pytest.raises(RecipeError, match=r"At sources\.s2\.collection: .*did you mean sentinel-2-l2a or"):
        find_collection("sentinel2-l2a", "sources.s2.collection")


def test_an_unknown_asset_is_told_with_the_nearest_names() -> None:
    with pytest.raises(RecipeError, match=r"has no asset 'b8a' \(did you mean B8A"):
        known_collections()["sentinel-2-l2a"].asset("b8a", "sources.s2.assets")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("uint8", "byte", r"at assets\.red\.dtype"),
        ("pixel_size: 5", "pixel_size: 0", r"at assets\.red\.pixel_size"),
        ("title: My mosaic", "title: My mosaic\ncolour: red", "at colour: there is no such key"),
        ("title: My mosaic", "title: My\nclear: {asset: red}", "at clear: give either keep"),
        (OWN, "{", "is not YAML"),
    ],
)
def test_a_collection_file_that_is_not_valid(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(RecipeError, match=says):
        load_collection(path)


def test_a_collection_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="can't be read: No such file"):
        load_collection(tmp_path / "none.yaml")
