import pytest

from factory_pipeline.plain_text import count_noun, escape_controls, is_utf8


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


def test_halves_of_characters_are_not_utf8() -> None:
    assert is_utf8("a \N{EARTH GLOBE EUROPE-AFRICA}")
    assert not is_utf8("a\ud83c")


def test_one_thing_has_no_plural() -> None:
    assert [count_noun(number, "pair") for number in (0, 1, 1200)] == ["0 pairs", "1 pair", "1,200 pairs"]
    assert [count_noun(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
