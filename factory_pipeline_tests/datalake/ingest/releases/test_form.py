"""Which files of a release are images and labels."""

import pytest

from factory_pipeline.datalake.ingest.releases.form import is_image, is_label


@pytest.mark.parametrize("name", ["a.tif", "b/a.TIFF", "a.b.tif"])
def test_images_are_tiffs_however_they_are_spelt(name: str) -> None:
    assert is_image(name)
    assert not is_label(name)


@pytest.mark.parametrize("name", ["a.json", "A.JSON"])
def test_labels_are_json(name: str) -> None:
    assert is_label(name)
    assert not is_image(name)


@pytest.mark.parametrize("name", ["a.png", "tif", ".tif", "a.geojson", "a.tif.aux.xml"])
def test_other_files_are_neither(name: str) -> None:
    assert not is_image(name)
    assert not is_label(name)
