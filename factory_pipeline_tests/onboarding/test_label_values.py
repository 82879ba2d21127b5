"""The values of masks, read before an archive is onboarded."""

from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.label_values import label_values
from factory_pipeline.onboarding.suggest_suffixes import file_endings, suggested_suffixes
from factory_pipeline_tests.archives.servers import host, parts
from factory_pipeline_tests.onboarding.uploads import OPEN, geotiff, local, mask, pairs, tar_of, zip_of

SUFFIXES = Suffixes(("_merged.tif",), "_mask.tif")
FILES = {**pairs(3), "labels/tile_1_mask.tif": mask(3, 9, 255, nodata=255), "labels/x.txt": b"text"}


@pytest.mark.integration
def test_the_values_of_zips_and_tars(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", FILES)
    policy = local(tmp_path)
    assert label_values(str(archive), SUFFIXES, policy) == [0, 1, 3, 9]
    assert label_values(str(archive), SUFFIXES, policy, nodata=9) == [0, 1, 3]
    assert label_values(str(tar_of(tmp_path / "a.tar.gz", FILES)), SUFFIXES, policy) == [0, 1, 3, 9]
    with host(parts(archive.read_bytes())) as url:
        assert label_values(f"{url}/a.zip", SUFFIXES, OPEN) == [0, 1, 3, 9]
    with host(parts((tmp_path / "a.tar.gz").read_bytes())) as url, pytest.raises(OnboardingError) as error:
        label_values(f"{url}/a.tar.gz", SUFFIXES, OPEN)
    assert error.value.code == "NEEDS_DOWNLOAD"


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (geotiff(np.full((1, 8, 8), 0.5, np.float32)), "CHECK_FAILED", "such as 0.5"),
        (geotiff(np.full((1, 8, 8), -1, np.int16)), "CHECK_FAILED", "such as -1"),
        (geotiff(np.arange(400, dtype=np.uint16).reshape(1, 20, 20)), "CHECK_FAILED", "400 of them"),
        (b"no image", "CHECK_FAILED", "a_mask.tif can't be read"),
        (None, "NO_FILES", "'_mask.tif'"),
    ],
)
def test_labels_that_are_no_masks_of_classes(
    tmp_path: Path, content: bytes | None, code: str, says: str
) -> None:
    files = {"a_merged.tif": geotiff()} | ({"a_mask.tif": content} if content else {})
    with pytest.raises(OnboardingError) as error:
        label_values(str(zip_of(tmp_path / "a.zip", files)), SUFFIXES, local(tmp_path))
    assert error.value.code == code
    assert says in str(error.value)


def test_endings_are_counted_and_suggested(tmp_path: Path) -> None:
    endings = file_endings(str(zip_of(tmp_path / "a.zip", FILES)), local(tmp_path))
    assert endings == {"_merged.tif": 3, "_mask.tif": 3, ".txt": 1}
    assert file_endings(str(tar_of(tmp_path / "a.tar", FILES)), local(tmp_path)) == endings
    assert suggested_suffixes(endings) == ("_merged.tif", "_mask.tif")
    assert suggested_suffixes({"_S2.tif": 3, "_S1.tif": 3, ".png": 3}) == ("", "")
    assert suggested_suffixes({}) == ("", "")


def test_a_modality_may_have_a_digit_but_a_number_is_no_ending(tmp_path: Path) -> None:
    def endings(*names: str) -> dict[str, int]:
        archive = zip_of(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
        return file_endings(str(archive), local(tmp_path))

    sentinel = endings("t_0_s2.tif", "t_1_s2.tif", "t_0_mask.tif", "t_1_mask.tif")
    assert suggested_suffixes(sentinel) == ("_s2.tif", "_mask.tif")
    assert endings("a_tile1.tif", "a_tile2.tif") == {".tif": 2}
    assert endings("a_s2.tif", "b_s2.tif", "c.tif") == {".tif": 3}
