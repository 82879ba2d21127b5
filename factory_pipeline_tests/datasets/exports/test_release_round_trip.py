"""Export, then import, gives the same items; import of an archive of ours, then export, the same bytes."""

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.import_release import import_release
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.schemas import GROUP, AnnotationType
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datasets.exports.release_reader import read_release
from factory_pipeline_tests.examples import up_to

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

WIDTH, HEIGHT = 20, 16
OWN_CRS = CRS.from_proj4("+proj=laea +lat_0=46 +lon_0=12 +datum=WGS84 +units=m").to_wkt()
"""WKT2 of a projection that has no EPSG code."""
PLACES = {
    "nowhere": (None, None),
    "utm": ("EPSG:32633", Affine(10, 0, 399_960, 0, -10, 5_000_040.5)),
    "utm rotated": (
        "EPSG:32733",
        Affine.translation(500_000, 8_000_000) @ Affine.rotation(33) @ Affine.scale(0.5, -0.5),
    ),
    "utm mirrored": ("EPSG:32633", Affine(-10, 0, 399_960, 0, -10, 5_000_040.5)),
    "geographic": ("EPSG:4326", Affine(0.0001, 0, 11.25, 0, -0.0001, -3.5)),
    "geographic rotated": (
        "EPSG:4326",
        Affine.translation(-70.1, 45.2) @ Affine.rotation(-12) @ Affine.scale(0.0001, -0.0001),
    ),
    "equal-area": ("EPSG:3035", Affine(10, 0, 4_321_000, 0, -10, 3_210_000)),
    "a projection without a code": (OWN_CRS, Affine(30, 0, -15_000, 0, -30, 22_000)),
    "a projection without a code, rotated": (
        OWN_CRS,
        Affine.translation(80_000, -4_000) @ Affine.rotation(75) @ Affine.scale(2, -3),
    ),
    "at 180 degrees": ("EPSG:4326", Affine(0.01, 0, 179.9, 0, -0.01, 10)),
    "across 180 degrees in UTM": ("EPSG:32701", Affine(1000, 0, 170_000, 0, -1000, 8_000_000)),
}
LABELS = ("träd, hus", "道路", "house/car", "🛰")


@dataclass(frozen=True)
class TinyVersion:
    """A version in memory."""

    made: tuple[Sample, ...]
    labels: tuple[str, ...]
    modalities: Mapping[str, tuple[str, ...]]
    dataset: str = "Åkrar / north"
    number: str = "1.0.0"
    dated: datetime | None = None
    credits: tuple[Mapping[str, Any], ...] = ()

    @property
    def values(self) -> Mapping[str, int]:
        return {label: number for number, label in enumerate(self.labels, 1)}

    @property
    def counts(self) -> Mapping[str, int]:
        return {split: len([*self.samples(split)]) for split in SPLITS}

    def samples(self, split: str) -> Iterator[Sample]:
        yield from sorted((each for each in self.made if each.split == split), key=lambda each: each.name)


coordinates = st.floats(0, 1).map(lambda x: round(x, 7))


@st.composite
def polygons(draw: st.DrawFn) -> list[np.ndarray]:
    """A star-shaped ring in the image, sometimes with a hole around its centre."""
    x, y = 1 + draw(coordinates) * (WIDTH - 2), 1 + draw(coordinates) * (HEIGHT - 2)
    reach = min(x, y, WIDTH - x, HEIGHT - y)
    corners = draw(st.integers(3, 7))
    angles = (np.arange(corners) + draw(coordinates) * 0.8) * 2 * np.pi / corners
    radii = reach * np.array(draw(st.lists(st.floats(0.5, 1), min_size=corners, max_size=corners)))
    ring = np.array([x, y]) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    hole = np.array([x, y]) + (ring[::-1] - np.array([x, y])) * 0.25
    return [ring, hole] if draw(st.booleans()) else [ring]


def shape(kind: AnnotationType, label: str, rings: list[np.ndarray], **facts: Any) -> Shape:
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    box = (*low.tolist(), *(high - low).tolist())
    return Shape(kind, label, box, tuple(rings) if kind is AnnotationType.POLYGON else (), **facts)


said = st.fixed_dictionaries(
    {},
    optional={
        "confidence": st.sampled_from([0.25, 1.0]),
        "attributes": st.just({"occluded": True, "ö": [1]}),
    },
)


@st.composite
def versions(draw: st.DrawFn) -> TinyVersion:
    """Images of one form in several places, with labels of one kind."""
    kind = draw(st.sampled_from(["polygons", "boxes", "classes", "numbers", "masks"]))
    labels = LABELS[: 1 if kind == "numbers" else draw(st.integers(1, 4))]
    bands = draw(st.integers(1, 4))
    dtype = draw(st.sampled_from(["uint8", "uint16", "int16", "float32"]))
    rgb = draw(st.sampled_from([None, (2, 1, 0), (0, 1, 2)])) if bands >= 3 else None
    names = tuple(f"band {number}" for number in range(bands))
    number_type = draw(st.sampled_from(["float32", "float64", "int32"]))
    samples = []
    for number in range(draw(st.integers(1, 4))):
        crs, transform = PLACES[draw(st.sampled_from(sorted(PLACES)))]
        values = np.random.default_rng(number).integers(0, 200, (bands, HEIGHT, WIDTH)).astype(dtype)
        sample = Sample(
            name=f"höst {number}",
            split=draw(st.sampled_from(SPLITS)),
            images={"S2": SampleRaster(values, names, draw(st.sampled_from([None, 0.0])), rgb)},
            crs=crs,
            transform=None if transform is None else tuple(transform)[:6],
            acquired=draw(st.sampled_from([None, datetime(2024, 5, 1, 10, 30, tzinfo=UTC)])),
            original_name=draw(st.sampled_from([f"höst {number}", f"north/{number}"])),
        )
        some = st.lists(st.sampled_from(labels), max_size=4)
        if kind == "polygons":
            drawn = [
                shape(AnnotationType.POLYGON, label, draw(polygons()), **draw(said)) for label in draw(some)
            ]
            if len(drawn) > 1 and draw(st.booleans()):
                # Two parts of one object.
                drawn[1] = replace(drawn[1], label=drawn[0].label)
                drawn[:2] = [replace(each, metadata={GROUP: "7"}) for each in drawn[:2]]
            sample = replace(sample, shapes=tuple(drawn))
        elif kind == "boxes":
            drawn = [
                shape(AnnotationType.RECTANGLE, label, draw(polygons())[:1], **draw(said))
                for label in draw(some)
            ]
            sample = replace(sample, shapes=tuple(drawn))
        elif kind == "classes":
            whole = [np.array([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT], [0.0, HEIGHT]])]
            chosen = [label for label in labels if draw(st.booleans())]
            drawn = [shape(AnnotationType.RECTANGLE, label, whole) for label in chosen]
            sample = replace(sample, shapes=tuple(drawn))
        elif kind == "masks":
            classes = np.random.default_rng(number).integers(0, len(labels) + 1, (1, 4, 5))
            mask = classes.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
            sample = replace(sample, mask=SampleRaster(mask, ("class",), 0))
        else:
            value = draw(st.floats(-1e6, 1e6, width=32) if number_type != "int32" else st.integers(-9, 9))
            target = np.full((1, HEIGHT, WIDTH), value, number_type)
            target[0, :3] = -9999
            sample = replace(sample, target=SampleRaster(target, labels, -9999))
        samples.append(sample)
    return TinyVersion(tuple(samples), labels, {"S2": names})


def unique(version: TinyVersion) -> bool:
    """Whether no annotation is there twice, which a version holds once."""
    for sample in version.made:
        rings = [(each.label, str(each.bbox), str(each.rings)) for each in sample.shapes]
        if len(rings) != len(set(rings)):
            return False
    return True


@settings(deadline=None, max_examples=up_to(10), suppress_health_check=list(HealthCheck))
@given(version=versions().filter(unique), export_type=st.sampled_from(["Release", "Release Pixels"]))
def test_export_then_import_gives_the_same_and_again_the_same_bytes(
    version: TinyVersion, export_type: str
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Registry.open(Path(folder, "registry.db"))) as registry,
    ):
        home = FactoryHome(Path(folder, "home"))
        export_version(version, export_type, Path(folder, "first"))
        (archive,) = Path(folder, "first").glob("*.tar.gz")
        read = read_release(archive)
        assert set(read.chips) == {sample.name for sample in version.made}
        collection, report = import_release(registry, home, "a@1", archive, IntakePolicy())
        assert report.conflicts == []
        assert report.skipped == []
        assert tuple(report.classes) == version.labels
        asked = DatasetRequest.of(
            dataset_name=version.dataset,
            collection_id=collection.id,
            split_info={"train": 100, "test": 0, "validation": 0},
            labels=list(version.labels),
            use_given_splits=True,
        )
        made = create_version(registry, home, asked)
        with open_content(registry, home, made.id) as content:
            found = {sample.name: sample for split in SPLITS for sample in content.samples(split)}
            assert set(found) == {sample.name for sample in version.made}
            for sample in version.made:
                see_same(sample, found[sample.name], version, content)
            # Classes without a label in any image are there again.
            assert content.labels == version.labels
            export_version(content, export_type, Path(folder, "second"))
            (again,) = Path(folder, "second").glob("*.tar.gz")
            assert again.name == archive.name
            assert again.read_bytes() == archive.read_bytes()


def see_same(sample: Sample, found: Sample, version: TinyVersion, content: Any) -> None:
    assert (found.split, found.acquired, found.original_name) == (
        sample.split,
        sample.acquired,
        sample.original_name,
    )
    # The text of a CRS without a code is another one in a GeoTIFF.
    assert (found.crs and CRS(found.crs)) == (sample.crs and CRS(sample.crs))
    assert found.transform == sample.transform
    (before,), (after,) = sample.images.values(), found.images.values()
    np.testing.assert_array_equal(after.values, before.values)
    assert (after.bands, after.nodata, after.rgb) == (before.bands, before.nodata, before.rgb)
    if sample.target is not None:
        valid = sample.target.values[sample.target.values != -9999]
        if found.target is not None:
            np.testing.assert_array_equal(np.unique(found.target.values), np.unique(valid))
    elif sample.mask is not None:
        if set(content.labels) == set(version.labels):
            classes = index_mask(found, content).values
            np.testing.assert_array_equal(classes, index_mask(sample, version).values)
    else:
        assert len(found.shapes) == len(sample.shapes)
        for one, other in itertools.zip_longest(sample.shapes, found.shapes):
            see_same_shape(one, other)


def see_same_shape(one: Shape, other: Shape) -> None:
    assert (other.type, other.label, other.group) == (one.type, one.label, one.group)
    assert (other.confidence, dict(other.attributes)) == (one.confidence, dict(one.attributes))
    np.testing.assert_allclose(other.bbox, one.bbox, atol=3e-6)
    assert len(other.rings) == len(one.rings)
    for ring, again in zip(one.rings, other.rings, strict=True):
        np.testing.assert_allclose(again, ring, atol=2e-6)
        assert shapely.Polygon(again).is_valid
