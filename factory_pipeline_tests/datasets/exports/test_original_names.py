"""`names.csv`: written, and compared when it is read back."""

from pathlib import Path

import pytest

from factory_pipeline.datasets.exports.original_names import NAMES, NamesReader, NamesWriter
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.errors import ExportError


def samples() -> list[Sample]:
    """Two samples, one whose original name needs quotes."""
    made = [Sample.__new__(Sample) for _ in range(2)]
    for number, sample in enumerate(made):
        for field, value in {
            "name": f"tile_{number}",
            "split": "train",
            "original_name": 'a, "b".tif' if number else "",
            "origin": "",
        }.items():
            object.__setattr__(sample, field, value)
    return made


def test_rows_are_read_back_and_compared(tmp_path: Path):
    writer = NamesWriter(tmp_path)
    for sample in samples():
        writer.take(sample)
    writer.close()
    assert (tmp_path / NAMES).read_text().splitlines() == [
        "name,split,original_name,origin",
        "tile_0,train,tile_0,",
        'tile_1,train,"a, ""b"".tif",',
    ]
    reader = NamesReader(tmp_path)
    first, second = samples()
    reader.take(first)
    with pytest.raises(ExportError, match="tile_0"):
        reader.take(first)
    reader.close()
    assert second.name == "tile_1"
