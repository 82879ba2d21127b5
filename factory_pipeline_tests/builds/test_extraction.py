"""What a build's settings make of its readers."""

from pathlib import Path

import pytest

from factory_pipeline.builds.extraction import BatchExtraction
from factory_pipeline.cog.reader import ReadWindow, WindowRead
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline_tests.cog.scales import MEGABYTE, Scales, reads_of_every_block, weigh


@pytest.fixture
def scales(monkeypatch: pytest.MonkeyPatch) -> Scales:
    """The engine with all its blocks on the scales."""
    return weigh(monkeypatch)


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> list[WindowRead]:
    """Windows of 12 MB of blocks."""
    return reads_of_every_block(tmp_path_factory.mktemp("rasters"))


@pytest.mark.integration
def test_a_build_reads_within_the_memory_of_its_settings(
    scales: Scales, reads: list[WindowRead], tmp_path: Path
) -> None:
    peaks = []
    for megabytes in (2, 64):
        scales.peak = 0
        settings = BuildSettings(
            granules="", output=tmp_path, catalog="earth-search", bytes_in_flight=megabytes * MEGABYTE
        )
        answers = BatchExtraction(settings).reader.read(reads)
        assert all(isinstance(answer, ReadWindow) for answer in answers)
        peaks.append(scales.peak)

    assert 0 < peaks[0] <= 2 * MEGABYTE < 8 * MEGABYTE < peaks[1] <= 64 * MEGABYTE
