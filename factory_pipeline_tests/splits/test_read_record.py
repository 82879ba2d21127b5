"""The record of a split is read as it was written."""

import json
from pathlib import Path

from factory_pipeline.splits.names import NEAR
from factory_pipeline.splits.read_record import read_record
from factory_pipeline_tests.splits.test_record import record


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = record(
        (0, 500, 5000),
        ["train", "test", None],
        percentages={"train": 50, "test": 50, "validation": 0},
        left_out_items={NEAR: {"fair": ["s2"]}},
        remark="Said too.",
    )
    found.write(tmp_path / "splits.json")
    stored = read_record(tmp_path / "splits.json")
    assert stored == json.loads(json.dumps(found.as_json()))
    assert stored["splits"] == {"train": 1, "test": 1, "validation": 0}
    assert (stored["pairs"], stored["crossing_pairs"]) == (1, 1)
    assert stored["leaking"] | {"share_at_random": None} == {
        "items": 1,
        "of": 1,
        "share": 1.0,
        "share_at_random": None,
    }
    assert stored["left_out_items"] == {NEAR: {"fair": ["s2"]}}
    assert stored["balance"] is not None
    assert "Said too." in stored["sentences"]
