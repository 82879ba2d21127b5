"""Each malformed member of a release is named, and nothing of the release is left."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from factory_pipeline.errors import OnboardingError
from factory_pipeline_tests.datalake.ingest.releases.archives import (
    box,
    feature,
    outline,
    pairs,
    polygon,
    tar_gz,
    tiff,
)
from factory_pipeline_tests.datalake.ingest.releases.conftest import Imports

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

Files = dict[str, Any]


def good() -> Files:
    return pairs({"a": feature({"car": []}, outline(0)), "b": feature({"car": []}, outline(1))})


def png() -> bytes:
    stored = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stored, "PNG")
    return stored.getvalue()


def labelled(shape: Any) -> Files:
    return {"labels/b.json": feature({"car": [shape]}, outline(1))}


def without_label() -> dict[str, Any]:
    return {"type": "Feature", "geometry": {}, "properties": {}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels/b.json": b"{"}, "labels/b.json is not JSON: Expecting property name"),
        ({"labels/b.json": b"\xff\xfe"}, "labels/b.json is not UTF-8 text"),
        ({"labels/b.json": b"[" * 100_000}, "labels/b.json is nested more deeply"),
        ({"labels/b.json": b"[]"}, "labels/b.json is not a GeoJSON Feature"),
        ({"labels/b.json": {"type": "Feature"}}, "labels/b.json has no properties"),
        ({"labels/b.json": without_label()}, "labels/b.json has no label"),
        ({"labels/b.json": feature(3)}, "labels/b.json has a label that is neither"),
        ({"labels/b.json": feature({"car": "yes"})}, "labels/b.json has 'yes' as the label of 'car'"),
        ({"labels/b.json": feature({"car": float("nan")})}, "labels/b.json has nan as the label of 'car'"),
        ({"labels/b.json": feature({"car": 10**400})}, "labels/b.json is not JSON: a number has 401 digits"),
        ({"labels/b.json": feature({"car": 10**90})}, "as the label of 'car'; allowed are a number"),
        (labelled([0, 0, 10**90, 5]), "of the type"),
        ({"labels/b.json": feature({" ": 1})}, "labels/b.json has a class without a name"),
        (
            {"labels/b.json": feature({"car": []}, {"type": "Point", "coordinates": [1, 2]})},
            "labels/b.json has a geometry of the type 'Point'",
        ),
        (
            {"labels/b.json": feature({"car": []}, box(500_000, 0, 500_100, 100))},
            "labels/b.json has a geometry that is not in degrees",
        ),
        (
            {"labels/b.json": feature({"car": []}, polygon([(1, 1), (2, 1), (3, 1)]))},
            "labels/b.json has an outline without area",
        ),
        (labelled({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}), "of the type 'LineString'"),
        (labelled({"type": "Polygon", "coordinates": [[[1, 2]]]}), "with a ring of fewer than three points"),
        (labelled({"type": "Polygon", "coordinates": [["x"]]}), "are not pairs of numbers"),
        (labelled({"type": "Polygon", "coordinates": []}), "without coordinates"),
        (labelled([5, 5, 5, 9]), "that is a box without area"),
        (labelled(box(0, 0, 100, 100)), "labels/b.json has a label outside of its image"),
        ({"images/b.tif": b""}, "images/b.tif is not a TIFF that can be read"),
        ({"images/b.tif": b"II*\0" + b"x" * 100}, "images/b.tif is not a TIFF that can be read"),
        ({"images/b.tif": tiff(1)[:-200]}, "images/b.tif is truncated or damaged"),
        ({"images/b.tif": png()}, "images/b.tif is not a TIFF but PNG"),
        ({"images/b.tif": tiff(1, bands=4)}, "images/b.tif has 16 x 16 pixels in 4 bands of uint8"),
        ({"images/b.tif": tiff(1, size=17)}, "images/b.tif has 17 x 17 pixels"),
        ({"images/b.tif": tiff(1, dtype="uint16")}, "images/b.tif has 16 x 16 pixels in 3 bands of uint16"),
        ({"images/b.tiff": tiff(1)}, "images/b.tif has the base name of another file, images/b.tiff"),
        ({"images/x/b.tif": tiff(1)}, "images/b.tif has the base name of another file, images/x/b.tif"),
        ({"labels/b.json": None}, "images/b.tif has no label: labels/b.json is missing"),
        ({"images/b.tif": None}, "labels/b.json has no image: images/b.tif is missing"),
        ({"labels/x/b.json": b"{}"}, "labels/b.json has the base name of another file, labels/x/b.json"),
        ({"meta.json": b"{'bbox': []}"}, "meta.json is not JSON"),
        ({"meta.json": []}, "meta.json is not a JSON object"),
        ({"bounds.geojson": b"x"}, "bounds.geojson is not JSON"),
        ({"bounds.geojson": {"type": "Point"}}, "bounds.geojson is neither a GeoJSON FeatureCollection"),
    ],
)
def test_a_malformed_file_is_named(imports: Imports, change: Files, said: str) -> None:
    given = pairs({name: feature({"car": []}, outline(0)) for name in "acd"}) | good() | change
    files = {name: content for name, content in given.items() if content is not None}
    message = imports.refused(files)
    assert said in message
    assert "--skip-invalid" in message
    items = imports(files, skip_invalid=True)
    assert {"a", "c", "d"} <= set(items["id"])
    assert any(said in skipped for skipped in imports.report.skipped)


def test_a_bomb_of_pixels_is_named_before_it_is_decoded(imports: Imports) -> None:
    imports.policy = replace_policy(imports, max_pixels=500)
    message = imports.refused(good())
    assert "images/a.tif declares 768 pixels in all bands; 500 are allowed" in message


def replace_policy(imports: Imports, **limits: Any) -> Any:
    return imports.policy.model_copy(update=limits)


def test_all_problems_are_refused_also_where_they_are_to_be_skipped(imports: Imports) -> None:
    files = pairs({"a": feature({"car": []})}) | {"labels/a.json": b"{"}
    assert "labels/a.json is not JSON" in imports.refused(files, skip_invalid=True)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"images/a.tif": tiff()}, "is not a release: it has no label (*.json in the folder labels)"),
        ({"labels/a.json": feature("x")}, "is not a release: it has no image"),
        ({"README": b"x"}, "is not a release"),
        (
            {"x/images/a.tif": tiff(), "y/labels/a.json": feature("x")},
            "has 2 folders with images or labels of releases",
        ),
    ],
)
def test_an_archive_that_is_not_a_release_says_why(imports: Imports, files: Files, said: str) -> None:
    assert said in imports.refused(files)


def link(archive: tarfile.TarFile, kind: bytes) -> None:
    info = tarfile.TarInfo("ts/images/b.tif")
    info.type, info.linkname = kind, "/etc/passwd"
    archive.addfile(info)


def outside(archive: tarfile.TarFile) -> None:
    archive.addfile(tarfile.TarInfo("../images/b.tif"))


def bomb(archive: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("ts/images/c.tif")
    info.size = 80 << 20
    archive.addfile(info, io.BytesIO(bytes(info.size)))


@pytest.mark.parametrize(
    ("add", "code", "named"),
    [
        (lambda archive: link(archive, tarfile.SYMTYPE), "LINK", "ts/images/b.tif"),
        (lambda archive: link(archive, tarfile.LNKTYPE), "LINK", "ts/images/b.tif"),
        (lambda archive: link(archive, tarfile.CHRTYPE), "DEVICE", "ts/images/b.tif"),
        (lambda archive: link(archive, tarfile.FIFOTYPE), "DEVICE", "ts/images/b.tif"),
        (outside, "PATH_TRAVERSAL", "../images/b.tif"),
        (bomb, "BOMB", "ts/images/c.tif"),
    ],
)
def test_links_devices_and_bombs_are_refused(
    imports: Imports, tmp_path: Path, add: Callable[[tarfile.TarFile], None], code: str, named: str
) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in good().items():
            info = tarfile.TarInfo(f"ts/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        add(archive)
    with pytest.raises(OnboardingError) as raised:
        imports.of(path)
    assert raised.value.code == code
    assert repr(named) in str(raised.value)
    assert [each for each in imports.home.root.rglob("*") if each.is_file()] == []


def test_an_archive_that_ends_early_is_refused(imports: Imports, tmp_path: Path) -> None:
    whole = tar_gz(tmp_path / "whole.tar.gz", good()).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[:-50])
    with pytest.raises(OnboardingError, match=r"cut.tar.gz is corrupt or truncated"):
        imports.of(tmp_path / "cut.tar.gz")


def test_many_problems_are_counted_and_the_first_named(imports: Imports) -> None:
    files = pairs({f"{number:02d}": feature("x") for number in range(12)})
    files |= {f"labels/{number:02d}.json": b"{" for number in range(10)}
    message = imports.refused(files)
    assert message.count("is not JSON") == 5
    assert "and 5 more" in message
    assert json.dumps("labels/04.json")[1:-1] in message
