"""What is told of an imported release."""

from pathlib import Path

from factory_pipeline.datalake.ingest.releases.problems import MOST_NAMED
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport

REPORT = ReleaseReport(
    archive="r.tar.gz",
    name="cover",
    version="1.0.0",
    public=True,
    source=None,
    source_url=None,
    items=1234,
    ml_type="segmentation",
    ml_type_why="meta.json says so",
    coordinates="pixel",
    coordinates_why="every label is inside its image in pixels",
    placed_by={"outline": 1200, "nothing": 34},
    conflicts=[],
    classes={"water": 5000, "forest": 0},
    splits={},
    skipped=[f"{number}.tif is truncated" for number in range(MOST_NAMED + 2)],
    others=["README.md"],
    notes=["A note."],
)


def test_a_stored_report_is_read_back(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "report.json")
    assert ReleaseReport.load(tmp_path / "report.json") == REPORT


def test_the_order_of_classes_survives_a_channel_that_sorts_keys() -> None:
    document = dict(sorted(REPORT.to_unordered().items()))
    assert list(ReleaseReport.of_unordered(document).classes) == ["water", "forest"]
    assert ReleaseReport.of_unordered(document) == REPORT


def test_a_person_reads_counts_and_the_first_of_many_files() -> None:
    text = str(REPORT)
    assert "Collection      cover: 1,234 items" in text
    assert "Classes         water 5,000, forest 0" in text
    assert "Splits          none given" in text
    assert f"Left out        {MOST_NAMED + 2}" in text
    assert "  and 2 more" in text
    assert "Conflicts" not in text
    assert text.endswith("A note.")


def test_a_shortened_report_keeps_its_counts() -> None:
    short = REPORT.shortened(1)
    assert short.skipped == ["0.tif is truncated"]
    assert short.classes == REPORT.classes
