"""The sample releases can be imported, each with the labels that it is made of."""

from pathlib import Path

import pytest

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates
from factory_pipeline.synthetic.releases import RELEASES, TILES, make_releases
from factory_pipeline_tests.datalake.ingest.releases.conftest import Imports, imports

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

__all__ = ["imports"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The archives by the name of their release."""
    paths = make_releases(tmp_path_factory.mktemp("releases"), seed=7)
    return {release.name: path for release, path in zip(RELEASES, paths, strict=True)}


def test_the_same_seed_gives_the_same_bytes(made: dict[str, Path], tmp_path: Path) -> None:
    again = make_releases(tmp_path, seed=7)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in made.values()]


@pytest.mark.parametrize(
    ("name", "coordinates", "placed_by"),
    [
        ("sample-cover-types", "pixel", "none: pixel coordinates"),
        ("sample-cover-polygons", "geographic", "the GeoTIFF, which agrees with the outline"),
        ("sample-stands", "pixel", "the four corners of the outline"),
        ("sample-mean-biomass", "pixel", "the GeoTIFF, which agrees with the outline"),
    ],
)
def test_a_sample_release_is_imported_as_it_was_made(
    made: dict[str, Path], imports: Imports, name: str, coordinates: str, placed_by: str
) -> None:
    # Near 15 degrees east and 48 north, degrees could be pixels too.
    said = LabelCoordinates.GEOGRAPHIC if name == "sample-cover-polygons" else None
    items = imports.of(made[name], label_coordinates=said)
    assert items.height == TILES
    (release,) = (each for each in RELEASES if each.name == name)
    assert (imports.report.ml_type, imports.report.coordinates) == (release.ml_type, coordinates)
    assert imports.report.placed_by == {placed_by: TILES}
    assert imports.report.conflicts == []
    assert sum(imports.report.classes.values()) > TILES / 2
    assert bool(imports.report.splits) is release.has_documents
