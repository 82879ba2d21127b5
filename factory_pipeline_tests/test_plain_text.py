import pytest

from factory_pipeline.plain_text import escape_controls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("Forêt 森林 👩\u200d🚒", "Forêt 森林 👩\u200d🚒"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\u2028more", "two\\nlines\\u2028more"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        (5, "5"),
    ],
)
def test_what_controls_a_terminal_is_written_out(text: object, expected: str) -> None:
    assert escape_controls(text) == expected
