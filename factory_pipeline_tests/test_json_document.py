import json
from pathlib import Path

import pytest

from factory_pipeline import json_document
from factory_pipeline.errors import DocumentError
from factory_pipeline.json_document import MOST_LEVELS, parse_json, read_json

DEEPEST = "[" * MOST_LEVELS + "]" * MOST_LEVELS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 200_000, f"is nested more deeply than the {MOST_LEVELS} levels that are allowed"),
        ('{"a":' * 200_000, "is nested more deeply"),
        (f"[{DEEPEST}]", "is nested more deeply"),
        ('{"a": ' * 101 + "1" + "}" * 101, "is nested more deeply"),
        ("[" * 101 + "1, " * 50 + '"]"' + "]" * 101, "is nested more deeply"),
        ("1" * 5000, "is not JSON: a number has 5,000 digits, and 100 are allowed"),
        (f"[-{'1' * 101}]", "is not JSON: a number has 102 digits"),
        (b"\xff", "is not UTF-8 text, so it is not JSON"),
        ("a\ud800b", "is not UTF-8 text, so it is not JSON"),
        (r'{"a": "\ud800"}', "has a text with half a character, which is not Unicode"),
        (r'{"\udc00": 1}', "has a text with half a character"),
        ("{", "is not JSON: Expecting property name"),
        ("", "is not JSON: Expecting value"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(text, problem):
    with pytest.raises(DocumentError) as caught:
        parse_json(text, "The file a.json")
    message = str(caught.value)
    assert message.startswith(f"The file a.json {problem}")
    assert "\n" not in message


@pytest.mark.parametrize(
    "values", [None, 1, "a", "\N{EARTH GLOBE EUROPE-AFRICA}", [], {}, {"a": [1, 2.5, {"b": None}]}]
)
def test_plain_data_is_read(values):
    for text in (json.dumps(values), json.dumps(values, ensure_ascii=False)):
        assert parse_json(text, "It") == values
        assert parse_json(text.encode("utf-8-sig"), "It") == values
    assert parse_json(DEEPEST, "It") == json.loads(DEEPEST)
    digits = "1" * 150
    assert parse_json(f'["{digits}", {digits[:100]}]', "It") == [digits, int(digits[:100])]


def test_nan_is_refused_where_it_is_asked():
    assert parse_json("[Infinity]", "It") == [float("inf")]
    with pytest.raises(DocumentError, match=r"^It is not JSON: NaN is not a value of JSON"):
        parse_json("[NaN]", "It", allow_nan=False)


def test_files(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "a.json", "It") == {"a": 1}
    for path, reason in ((tmp_path / "b.json", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(DocumentError, match=f"^It can't be read: {reason}\\.$"):
            read_json(path, "It")
    monkeypatch.setattr(json_document, "MOST_BYTES", 1000)
    with pytest.raises(DocumentError, match="more than the 1,000 bytes"):
        read_json(Path("/dev/zero"), "It")
