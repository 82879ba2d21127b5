"""What a build's settings make of its readers."""

from pathlib import Path

import pytest

from factory_pipeline.builds import extraction
from factory_pipeline.builds.extraction import BatchExtraction
from factory_pipeline.config.build_settings import BuildSettings


def test_the_bound_on_memory_is_that_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(extraction, "BlockReader", lambda *_, **options: made.append(options))
    settings = BuildSettings(granules="", output=tmp_path, catalog="earth-search", bytes_in_flight=2**26)

    _ = BatchExtraction(settings).reader

    assert made == [{"bytes_in_flight": 2**26}]
