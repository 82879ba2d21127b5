"""Exports as a whole: there whole or not at all, listed, the same each time, and flat in memory."""

import errno
import gc
import hashlib
import json
import tracemalloc
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rasterio

from factory_pipeline.datasets.exports import media
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.listing import LISTING, read_exported
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.errors import ArgumentError, ExportError, LakeError
from factory_pipeline_tests.datasets.model.factories import MadeVersion, satellite_version

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

NAMES = ("RAW", "YOLO Darknet", "Semantic Segmentation", "COCO")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    given: str = request.param
    return given


def test_the_listing_names_every_file_with_its_hash(
    name: str, satellite: MadeVersion, tmp_path: Path
) -> None:
    listed = export_version(satellite, name, tmp_path / "made")
    assert (listed.format, listed.dataset, listed.version) == (name, satellite.dataset, satellite.number)
    found = {path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*.*")}
    assert [file.path for file in listed.files] == sorted(found - {LISTING})
    for file in listed.files:
        content = (tmp_path / "made" / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert read_exported(tmp_path / "made") == listed


def test_every_image_is_media_and_nothing_that_is_needed_to_understand_them(
    name: str, satellite: MadeVersion, tmp_path: Path
) -> None:
    listed = export_version(satellite, name, tmp_path / "made")
    images = sum(satellite.counts.values())
    assert sum(file.media for file in listed.files) == images
    assert not any(file.media for file in listed.files if not file.path.endswith(".tif"))


@pytest.mark.integration
def test_two_exports_of_a_version_are_the_same_bytes(
    name: str, satellite: MadeVersion, tmp_path: Path
) -> None:
    one = export_version(satellite, name, tmp_path / "one")
    two = export_version(satellite, name, tmp_path / "elsewhere" / "two")
    assert one == two
    assert (tmp_path / "one" / LISTING).read_bytes() == (
        tmp_path / "elsewhere" / "two" / LISTING
    ).read_bytes()


def test_nothing_in_an_export_names_a_place_of_this_machine(
    name: str, satellite: MadeVersion, tmp_path: Path
) -> None:
    export_version(satellite, name, tmp_path / "made")
    places = {str(tmp_path).encode(), str(satellite.folder).encode()}
    for path in (tmp_path / "made").rglob("*.*"):
        assert not any(place in path.read_bytes() for place in places)


@dataclass(frozen=True)
class Failing(MadeVersion):
    """A version whose last test image can't be had."""

    error: Exception | None = None

    def samples(self, split: str) -> Iterator[Sample]:
        if split == "test":
            assert self.error is not None
            raise self.error
        yield from super().samples(split)


def failing(version: MadeVersion, error: Exception) -> Failing:
    return Failing(**vars(version), error=error)


def full_disk(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_and_leaves_nothing(
    name: str, satellite: MadeVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def copy_two(source: Path, target: Path) -> None:
        written.append(target)
        if len(written) == 3:
            full_disk()
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr(media.shutil, "copyfile", copy_two)
    with pytest.raises(ExportError, match=f"{name} export of {satellite.dataset} 1.0.4 found no space left"):
        export_version(satellite, name, tmp_path / "exports" / "made")
    assert len(written) == 3
    assert list((tmp_path / "exports").iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("Can't write data (file write failed: error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_while_a_copy_is_written_is_told_too(
    satellite: MadeVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def write_none(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(Path, "write_bytes", write_none)
    with pytest.raises(ExportError, match="found no space left on the disk of"):
        export_version(satellite, "RAW", tmp_path / "exports" / "made")
    assert list((tmp_path / "exports").iterdir()) == []


def test_files_that_do_not_read_back_the_same_leave_nothing(
    name: str, satellite: MadeVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_with_a_changed_pixel(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes())
        with rasterio.open(target, "r+") as copied:
            pixels = copied.read()
            pixels[2, 20, 30] += 1
            copied.write(pixels)

    monkeypatch.setattr(media.shutil, "copyfile", copy_with_a_changed_pixel)
    with pytest.raises(ExportError, match=r"differs from the values of train.höst 000 when it is read back"):
        export_version(satellite, name, tmp_path / "exports" / "made")
    assert list((tmp_path / "exports").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "raised", "told"),
    [
        (LakeError("The image x.tif is missing."), LakeError, "The image x.tif is missing"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x.tif"),
            ExportError,
            "failed, so nothing of it was stored: .*Permission denied",
        ),
        (
            rasterio.errors.RasterioIOError("x.tif: not recognized"),
            ExportError,
            "failed, so nothing of it was stored: x.tif: not recognized",
        ),
        (ZeroDivisionError("a mistake of ours"), ZeroDivisionError, "a mistake of ours"),
    ],
    ids=["missing", "forbidden", "broken", "ours"],
)
def test_whatever_fails_nothing_is_left(
    error: Exception, raised: type[Exception], told: str, satellite: MadeVersion, tmp_path: Path
) -> None:
    with pytest.raises(raised, match=told):
        export_version(failing(satellite, error), "RAW", tmp_path / "exports" / "made")
    assert list((tmp_path / "exports").iterdir()) == []


def test_what_lies_there_is_not_touched(satellite: MadeVersion, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with pytest.raises(ExportError, match=r"The path .*made already exists"):
        export_version(satellite, "RAW", tmp_path / "made")
    assert list(tmp_path.iterdir()) == [tmp_path / "made"]


def test_a_format_that_there_is_not_is_told_before_anything_is_written(
    satellite: MadeVersion, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match="export_types is 'Raw'"):
        export_version(satellite, "Raw", tmp_path / "exports" / "made")
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_each_sample_as_it_is_written_and_as_it_is_read_back(
    name: str, satellite: MadeVersion, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    export_version(satellite, name, tmp_path / "made", lambda done, of: told.append((done, of)))
    samples = sum(satellite.counts.values())
    assert told == [(done, 2 * samples) for done in range(1, 2 * samples + 1)]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:0],
        lambda text: text[:-20],
        lambda text: f"[{text}]",
        lambda text: text.replace('"media": true', '"media": false', 1),
        lambda text: json.dumps(json.loads(text) | {"files": None}),
    ],
    ids=["empty", "cut", "a list", "changed", "no files"],
)
def test_a_broken_listing_is_told(
    change: Callable[[str], str], satellite: MadeVersion, tmp_path: Path
) -> None:
    export_version(satellite, "RAW", tmp_path / "made")
    listing = tmp_path / "made" / LISTING
    listing.write_text(change(listing.read_text()))
    with pytest.raises(ExportError, match=r"made"):
        read_exported(tmp_path / "made")
    listing.unlink()
    with pytest.raises(ExportError, match="no complete export"):
        read_exported(tmp_path / "made")


@dataclass(frozen=True)
class Tidy(MadeVersion):
    """A version that leaves no garbage lying about, nor the paths that rasterio had urllib parse."""

    def samples(self, split: str) -> Iterator[Sample]:
        for sample in super().samples(split):
            yield sample
            gc.collect()
            urllib.parse.clear_cache()


@pytest.mark.integration
def test_memory_does_not_grow_with_the_number_of_samples(name: str, tmp_path: Path) -> None:
    peaks = []
    for number, samples in enumerate((3, 3, 12)):
        made = satellite_version(tmp_path / f"{number}", samples=samples, masks=True)
        folder = tmp_path / f"made-{number}"
        folder.mkdir()
        gc.collect()
        gc.freeze()
        tracemalloc.start()
        try:
            FORMATS[name].write(Tidy(**vars(made)), folder)
            FORMATS[name].check(Tidy(**vars(made)), folder)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
            gc.unfreeze()
    # The first round also imports modules and fills caches.
    assert peaks[2] < 1.3 * peaks[1]
