"""A disk that is full at any moment: the onboarding says so, leaves nothing, and works once there is room."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.storage.atomic import atomic_write, disk_is_full
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import Bench, bytes_below
from factory_pipeline_tests.onboarding.uploads import geotiff
from factory_pipeline_tests.small_disk import mount_small_disk

pytestmark = pytest.mark.integration


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mount_small_disk(folder, "8m"):
        yield folder


def files() -> dict[str, bytes]:
    made = {}
    for number in range(6):
        values = np.random.default_rng(number).integers(1, 9000, (2, 128, 128)).astype(np.uint16)
        made[f"{number}_merged.tif"] = geotiff(values)
        made[f"{number}_mask.tif"] = geotiff(np.resize(np.array([0, 1], np.uint8), (1, 128, 128)))
    return made


def test_a_disk_that_fills_up_at_any_stage_is_told_and_a_rerun_goes_on(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        free = Bench(FactoryHome(tmp_path / "home"), instance)
        undisturbed = bytes_below(
            free.home.upload(free.prepare("rivers", files(), to_cog=True)).finished.root
        )

        # A registry on the full disk could tell nothing.
        monkeypatch.setenv("FACTORY_REGISTRY", str(tmp_path / "registry.db"))
        bench = Bench(FactoryHome(disk / "home"), instance)
        key = bench.take_in(bench.drop("rivers", files(), to_cog=True))
        ballast = disk / "ballast"
        failures = 0
        for kilobytes in range(64, 4096, 256):
            ballast.unlink(missing_ok=True)
            fill(ballast, leaving=kilobytes << 10)
            if bench.run(key).success:
                break
            failures += 1
            upload = bench.upload(key)
            assert (upload.status, upload.code) == (UploadStatus.FAILED, "DISK_FULL"), upload.reason
            assert not bench.home.datasets.exists()
            assert sum(map(len, bytes_below(bench.home.upload(key).root).values())) < 64 << 10
        assert failures > 3
        found = bytes_below(bench.home.upload(key).finished.root)
        assert {name: found[name] for name in found if name.endswith(".tif")} == {
            name: content for name, content in undisturbed.items() if name.endswith(".tif")
        }
        assert found.keys() == undisturbed.keys()


def fill(path: Path, leaving: int) -> None:
    """Write a file that leaves so many bytes of its disk."""
    about = os.statvfs(path.parent)
    path.write_bytes(bytes(about.f_bavail * about.f_frsize - leaving))


def test_a_file_that_no_library_could_write_tells_the_full_disk(disk: Path) -> None:
    def write() -> None:
        with atomic_write(disk / "a.txt") as temporary:
            temporary.write_text("")
            raise ValueError("write failed")

    fill(disk / "ballast", leaving=0)
    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (ValueError("parquet: underlying IO error: No space left on device (os error 28)"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (ValueError("parquet: underlying IO error: Disk quota exceeded (os error 122)"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("no space in the name"), False),
    ],
)
def test_a_full_disk_is_known_by_its_errors(error: Exception, full: bool) -> None:
    assert disk_is_full(error) == full
    wrapped = RuntimeError("it can't be written")
    wrapped.__cause__ = error
    assert disk_is_full(wrapped) == full
