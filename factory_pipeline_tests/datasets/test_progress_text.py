"""The progress of a run in its log."""

import pytest

from factory_pipeline.datasets.progress_text import parse_fraction, progress_text


@pytest.mark.parametrize("fraction", [0.0, 0.29, 0.5, 1.0])
def test_a_line_is_read_as_it_was_written(fraction: float):
    assert parse_fraction(f"12:00 {progress_text(fraction, '2 of 5 items written')}") == pytest.approx(
        fraction, abs=0.01
    )


@pytest.mark.parametrize("line", ["Started.", "40 % done", "140 items done"])
def test_other_lines_report_nothing(line: str):
    assert parse_fraction(line) is None
