"""The report on added annotations."""

from factory_pipeline.datalake.ingest.report import AnnotationReport, BadAnnotationError, LeftOut


def left_out() -> LeftOut:
    """Three skipped annotations for two reasons."""
    made = LeftOut()
    made.add("The annotation 5 of a.json", "has no area")
    made.add_error(BadAnnotationError("The annotation 7 of a.json", "has no area"))
    made.add("The mask b.png", "is not an item")
    return made


def test_the_first_of_each_reason_is_named_and_all_are_counted():
    assert left_out().clause() == (
        "; the annotation 5 of a.json has no area (2 such); the mask b.png is not an item"
    )
    assert LeftOut().clause() == ""


def test_the_report_says_the_same_as_text_and_as_json():
    report = AnnotationReport("op", 3, ("x.tif",), 10, left_out())
    assert "3 matched, 1 unmatched (x.tif)" in str(report)
    assert "10 added, 3 dropped" in str(report)
    stored = report.to_json()
    assert stored["dropped"] == 3
    assert [reason["count"] for reason in stored["reasons"]] == [2, 1]
