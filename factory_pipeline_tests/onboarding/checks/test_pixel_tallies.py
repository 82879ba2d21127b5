"""Stored tallies give the statistics that reading the files again gives; what is not stored is read."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.band_statistics import band_statistics
from factory_pipeline.onboarding.checks.file_contents import scan_contents
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.pixel_tallies import StoredTallies, read_tallies, write_tallies
from factory_pipeline_tests.onboarding.uploads import geotiff


def stored(folder: Path, dtypes: list[str]) -> tuple[StoredTallies, list[str]]:
    rng = np.random.default_rng(0)
    (folder / "in").mkdir()
    for number, dtype in enumerate(dtypes):
        image = rng.integers(1, 200, (2, 20, 20)).astype(dtype)
        (folder / "in" / f"{number}_image.tif").write_bytes(geotiff(image, nodata=5))
    with write_tallies(folder / "tallies.bin") as tallies:
        suffixes = Suffixes(("_image.tif",), "_mask.tif")
        rows = list(scan_contents(folder / "in", suffixes, IntakePolicy(), tallies=tallies))
    names = [row["name"] for row in rows]
    placed = pl.DataFrame({"row": range(len(names)), "path": names})[::-1]
    return read_tallies(folder / "tallies.bin", placed), names


def test_statistics_from_tallies_are_those_of_the_files(tmp_path: Path) -> None:
    tallies, names = stored(tmp_path, ["uint16"] * 4)
    read = band_statistics(names, "optical", ["red", "nir"], root=tmp_path / "in")
    for name in names[1:]:
        (tmp_path / "in" / name).unlink()
    assert (
        band_statistics(names, "optical", ["red", "nir"], root=tmp_path / "in", tally_of=tallies.of) == read
    )


def test_a_file_has_none_if_it_is_unknown_not_counted_or_of_another_type(tmp_path: Path) -> None:
    tallies, names = stored(tmp_path, ["uint16", "float32", "uint8"])
    assert [tallies.of(name) is not None for name in names] == [True, False, True]
    assert tallies.of("other.tif") is None
    assert tallies.of(names[0], np.dtype("uint8")) is None
    assert tallies.of(names[0], np.dtype("uint16")) is not None
    missing = read_tallies(tmp_path / "missing.bin", pl.DataFrame({"row": [0], "path": [names[0]]}))
    assert missing.of(names[0]) is None


def test_what_is_written_halfway_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "tallies.bin"
    with write_tallies(path) as tallies:
        tallies.append(b"")
    assert path.exists()

    def stop_halfway() -> None:
        with write_tallies(path) as tallies:
            tallies.append(b"1")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_halfway()
    assert not path.exists()
