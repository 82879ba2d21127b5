"""What the summaries of all builds share."""

from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.builds.stored_summary import StoredSummary, unusable_lines, written_lines


@dataclass(frozen=True)
class Summary(StoredSummary):
    """A summary of two fields."""

    name: str
    dropped: dict[str, int]


def test_what_is_saved_is_loaded(tmp_path: Path):
    summary = Summary("forests", {"quality: agbd": 2})
    summary.save(tmp_path / "summary.json")
    assert Summary.load(tmp_path / "summary.json") == summary


def test_unusable_items_are_counted_with_their_reasons():
    first, reason = unusable_lines({"copdem: no_grid": 1_234})
    assert first == f"Items of the catalog that can't be used{'1,234':>15}"
    assert reason.split() == ["copdem:", "no_grid", "1,234"]
    assert list(unusable_lines({})) == []


def test_files_are_listed_by_what_they_are():
    assert [line.split() for line in written_lines({"train": "/a.h5"})] == [["Written"], ["train", "/a.h5"]]
