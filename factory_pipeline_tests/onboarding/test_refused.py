"""Uploads that can't be onboarded: each ends as Failed, with a code and a sentence; nothing of it stays."""

import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.intake import register_upload, validate_upload
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.orchestration.partitions import DATASETS
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import (
    bare_header,
    geotiff,
    mask,
    pairs,
    tar_of,
    written,
    zip_of,
)

pytestmark = pytest.mark.integration

RECORDS = {
    "upload.json",
    "manifest.json",
    "archive.json",
    "headers.parquet",
    "prescan.json",
    "contents.parquet",
    ".lock",
}
"""What may stay of a refused upload: what it was, and why it was refused."""
IMAGE, MASK = "images/tile_1_merged.tif", "labels/tile_1_mask.tif"

Drop = Callable[[Bench], Path]
"""Puts an upload into the inbox; gives its manifest."""


def addressed(url: str) -> Drop:
    """An upload whose archive lies elsewhere."""
    return lambda bench: bench.drop("bad", None, dataset_url=url)


def archived(make: Callable[[Path], object]) -> Drop:
    """An upload whose archive a function writes."""

    def drop(bench: Bench) -> Path:
        manifest = bench.drop("bad", None)
        make(manifest.with_suffix(".zip"))
        return manifest

    return drop


def packed(changed: dict[str, bytes | None], **manifest: Any) -> Drop:
    """Good pairs, of which some files are others, or are not there."""
    files = {**pairs(4), **changed}
    return lambda bench: bench.drop(
        "bad", {name: content for name, content in files.items() if content is not None}, **manifest
    )


def zip_member(path: Path, name: str, mode: int = 0) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(zip_of(path, pairs(2)), "a") as archive:
        archive.writestr(info, b"/etc/passwd")


def tar_link(path: Path, kind: bytes) -> None:
    with tarfile.open(tar_of(path, pairs(2)), "a") as archive:
        member = tarfile.TarInfo("images/c_merged.tif")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)


def encrypted(path: Path) -> None:
    stored = bytearray(zip_of(path, pairs(2)).read_bytes())
    stored[stored.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(stored)


def lying_bomb(path: Path) -> None:
    """Says that it is small, and is not."""
    size = 80 << 20
    zip_of(path, {**pairs(2), "images/bomb.bin": bytes(size)}, zipfile.ZIP_DEFLATED)
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (9).to_bytes(4, "little")))


def nested(path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1 << 20))
    zip_of(path, {**pairs(2), "more/inner.zip": inner.getvalue()})


def random_image(bands: int = 2, size: int = 8, dtype: str = "uint16", **options: Any) -> bytes:
    return geotiff(np.random.default_rng(9).integers(1, 200, (bands, size, size)).astype(dtype), **options)


def broken_in_the_middle() -> bytes:
    values = np.random.default_rng(9).integers(0, 60_000, (2, 256, 256)).astype(np.uint16)
    stored = bytearray(geotiff(values, compress="deflate"))
    stored[len(stored) // 2 : len(stored) // 2 + 2000] = bytes(2000)
    return bytes(stored)


NO_DATA = geotiff(np.zeros((2, 8, 8), np.uint16), nodata=0)
BLANK_MASKS = {f"labels/tile_{number}_mask.tif": mask(255, nodata=255) for number in range(4)}
BIG_MASK = geotiff(np.zeros((1, 256, 256), np.uint8))

REFUSED: dict[str, tuple[Drop, str]] = {
    "a host that does not answer": (addressed("http://127.0.0.1:9/a.zip"), "URL_UNREACHABLE"),
    "a file that is not there": (addressed("none.zip"), "URL_UNREACHABLE"),
    "a scheme that is not opened": (addressed("ftp://example.org/a.zip"), "SCHEME_NOT_ALLOWED"),
    "a host in a private network": (addressed("http://10.0.0.1/a.zip"), "ADDRESS_NOT_ALLOWED"),
    "the address of a cloud's secrets": (addressed("http://169.254.169.254/a.zip"), "ADDRESS_NOT_ALLOWED"),
    "a file outside the allowed folders": (addressed("/etc/passwd"), "ADDRESS_NOT_ALLOWED"),
    "a file that is no archive": (archived(lambda path: path.write_bytes(b"no zip" * 999)), "NOT_AN_ARCHIVE"),
    "a zip that is cut off": (
        archived(lambda path: path.write_bytes(zip_of(path, pairs(2)).read_bytes()[:-300])),
        "NOT_AN_ARCHIVE",
    ),
    "an encrypted zip": (archived(encrypted), "ARCHIVE_ENCRYPTED"),
    "a file of no bytes": (archived(Path.touch), "ARCHIVE_EMPTY"),
    "a zip of no files": (archived(lambda path: zip_of(path, {})), "ARCHIVE_EMPTY"),
    "a path out of the folder": (archived(lambda path: zip_member(path, "../../evil")), "PATH_TRAVERSAL"),
    "an absolute path": (archived(lambda path: zip_member(path, "/tmp/evil")), "ABSOLUTE_PATH"),
    "a path of another system": (archived(lambda path: zip_member(path, "C:\\evil")), "ABSOLUTE_PATH"),
    "a link in a zip": (archived(lambda path: zip_member(path, "a", stat.S_IFLNK)), "LINK"),
    "a link in a tar": (archived(lambda path: tar_link(path, tarfile.SYMTYPE)), "LINK"),
    "a hard link in a tar": (archived(lambda path: tar_link(path, tarfile.LNKTYPE)), "LINK"),
    "a device in a zip": (archived(lambda path: zip_member(path, "a", stat.S_IFCHR)), "DEVICE"),
    "a pipe in a tar": (archived(lambda path: tar_link(path, tarfile.FIFOTYPE)), "DEVICE"),
    "a bomb": (
        archived(lambda path: zip_of(path, {**pairs(2), "a": bytes(80 << 20)}, zipfile.ZIP_DEFLATED)),
        "BOMB",
    ),
    "a bomb that lies about its size": (archived(lying_bomb), "ARCHIVE_CORRUPT"),
    "an archive in the archive": (archived(nested), "NESTED_ARCHIVE"),
    "too many members": (packed({f"more/{number}.txt": b"" for number in range(40)}), "TOO_MANY_MEMBERS"),
    "names that differ in case only": (packed({IMAGE.upper(): b"x"}), "NAME_CLASH"),
    "images without labels": (
        packed({f"labels/tile_{number}_mask.tif": None for number in range(4)}),
        "NO_FILES",
    ),
    "labels without images": (
        packed({f"images/tile_{number}_merged.tif": None for number in range(4)}),
        "NO_FILES",
    ),
    "an image without label": (packed({MASK: None}), "UNPAIRED"),
    "a label without image": (packed({IMAGE: None}), "UNPAIRED"),
    "one suffix for images and labels": (packed({}, label_suffix="_merged.tif"), "MANIFEST_INVALID"),
    "another size": (packed({MASK: BIG_MASK}), "CHECK_FAILED"),
    "another number of bands": (packed({IMAGE: random_image(bands=3)}), "CHECK_FAILED"),
    "another data type": (packed({IMAGE: random_image(dtype="int16")}), "CHECK_FAILED"),
    "another coordinate system": (packed({IMAGE: random_image(crs="EPSG:32633")}), "CHECK_FAILED"),
    "another place": (packed({IMAGE: random_image(left=600_000)}), "CHECK_FAILED"),
    "a mask value without category": (packed({MASK: mask(0, 1, 7)}), "CHECK_FAILED"),
    "an image of no data": (packed({IMAGE: NO_DATA}), "CHECK_FAILED"),
    "masks of no data": (packed(BLANK_MASKS), "CHECK_FAILED"),
    "labels of no data": (packed(BLANK_MASKS, purpose="Regression", label_categories=[]), "CHECK_FAILED"),
    "an image broken in the middle": (
        packed({IMAGE: broken_in_the_middle(), MASK: BIG_MASK}),
        "CHECK_FAILED",
    ),
    "an image that declares 10^10 pixels": (packed({IMAGE: bare_header(100_000, 100_000)}), "CHECK_FAILED"),
    "an image that is no image": (packed({IMAGE: b"II*\0 nothing"}), "CHECK_FAILED"),
    "an image twice": (packed({IMAGE: pairs(1)["images/tile_0_merged.tif"]}), "CHECK_FAILED"),
    "a class that a split lacks": (
        packed(
            {f"labels/tile_{number}_mask.tif": mask(0, 0) for number in range(1, 4)},
            splits={"train": 50, "test": 25, "validation": 25, "require_all_labels": True},
        ),
        "SPLIT_INVALID",
    ),
    "a split that names no such image": (packed({}, splits={"train": ["tile_9"]}), "SPLIT_INVALID"),
}


def arrive(bench: Bench, manifest: Path) -> Upload:
    """What becomes of a manifest by sensor or command: registered good or bad, the good ones run."""
    arrival = validate_upload(manifest, bench.home, IntakePolicy.of_home(bench.home))
    with closing(bench.factory.registry()) as registry:
        register_upload(registry, arrival)
    if arrival.error is None:
        bench.instance.add_dynamic_partitions(DATASETS, [arrival.key])
        assert not bench.run(arrival.key).success
    return bench.upload(arrival.key)


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_upload_is_told_and_nothing_of_it_stays(bench: Bench, case: str) -> None:
    drop, code = REFUSED[case]
    bench.allow(max_members=40, retries=0, timeout_s=2, private_addresses=code == "URL_UNREACHABLE")
    manifest = drop(bench)
    upload = arrive(bench, manifest)
    assert (upload.status, upload.code) == (UploadStatus.FAILED, code), upload.reason
    reason = str(upload.reason)
    assert re.fullmatch(r"[A-Z/'a-z].{15,600}\.", reason), "one sentence, or few"
    assert "Error" not in reason.replace("CPLE_AppDefinedError", "")
    assert not bench.home.datasets.exists()
    assert {Path(name).name for name in written(bench.home.root / "uploads")} <= RECORDS
    assert not list(bench.home.root.parent.rglob("evil*"))
