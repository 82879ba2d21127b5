import json
from pathlib import Path

import pytest

from factory_pipeline.datasets.exports.json_stream import ListReader, ListWriter, read_around
from factory_pipeline.errors import ExportError

RECORDS = [{"id": 1, "name": "é\n["}, {"id": 2, "list": [1, [2]]}, {"id": 3}]


def written(path: Path, records: list[dict[str, object]]) -> Path:
    """A document with a list of records between two other keys."""
    with path.open("w", encoding="ascii") as out:
        out.write('{\n"info": {"year": 2024},\n"images": ')
        writer = ListWriter(out)
        for record in records:
            writer.add(record, "a")
        writer.end()
        out.write(',\n"last": 5\n}\n')
    return path


@pytest.mark.parametrize("count", range(4))
def test_a_list_is_json_and_is_read_back_record_by_record(tmp_path: Path, count: int) -> None:
    path = written(tmp_path / "a.json", RECORDS[:count])
    assert json.loads(path.read_text()) == {"info": {"year": 2024}, "images": RECORDS[:count], "last": 5}
    assert read_around(path) == {"info": {"year": 2024}, "images": [], "last": 5}
    reader = ListReader(path, "images")
    assert [reader.expect(record, "a") for record in RECORDS[:count]] == RECORDS[:count]
    reader.expect_end()


def test_what_differs_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", RECORDS[:2])
    with pytest.raises(ExportError, match=r"images of tile in a\.json differ when"):
        ListReader(path, "images").expect(RECORDS[1], "tile")
    reader = ListReader(path, "images")
    reader.expect(RECORDS[0], "a")
    with pytest.raises(ExportError, match="more images than"):
        reader.expect_end()
    reader = ListReader(written(path, []), "images")
    with pytest.raises(ExportError, match="images of tile"):
        reader.expect(RECORDS[0], "tile")


def test_what_json_cannot_hold_is_told(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("w") as out, pytest.raises(ExportError, match="record of tile can't"):
        ListWriter(out).add({"value": float("nan")}, "tile")
