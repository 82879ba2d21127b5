import pickle
from pathlib import Path

import pytest

from factory_pipeline import yaml_document
from factory_pipeline.errors import DocumentError
from factory_pipeline.yaml_document import MOST_BYTES, MOST_LEVELS, MOST_VALUES, parse_yaml, read_yaml

DEEPEST = "[" * MOST_LEVELS + "]" * MOST_LEVELS
ALIASES = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
)
CHAIN = "- &a0 []\n" + "\n".join(f"- &a{i} [*a{i - 1}]" for i in range(1, MOST_LEVELS + 1))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 200_000, f"is nested more deeply than the {MOST_LEVELS} levels that are allowed (line 1)"),
        ("{" * 200_000, "is nested more deeply"),
        ("{a: " * 200_000, "is nested more deeply"),
        ("- " * 200_000, "is nested more deeply"),
        ("? " * 200_000, "is nested more deeply"),
        ("!!set {" * 100_000, "is nested more deeply"),
        (f"[{DEEPEST}]", "is nested more deeply"),
        (CHAIN, "is nested more deeply than the 100 levels that are allowed (line 100)"),
        (ALIASES, f"has more than the {MOST_VALUES:,} values that are allowed (line 7)"),
        ("a: &a [*a]", "has the alias *a inside what it names (line 1)"),
        ("a: &a\n  b: *a", "has the alias *a inside what it names (line 2)"),
        ("1" * 5000, "has a number of more than the 100 digits"),
        ("1:" + ":".join(["59"] * 100_000), "has a number of more than the 100 digits"),
        (" " * (MOST_BYTES + 1), "has more than the 16,777,216 bytes that are allowed"),
        (b"\xff", "is not UTF-8 text, so it is not YAML"),
        ("a\ud800b", "is not UTF-8 text, so it is not YAML"),
        ("{", "is not YAML: while parsing a flow node"),
        ("a: b: c", "is not YAML: mapping values are not allowed"),
        ("a: &a 1\nb: &a 2", "is not YAML: found duplicate anchor"),
        ("*a", "is not YAML: found undefined alias"),
        ("a: 1\n---\na: 2", "is not YAML: expected a single document"),
        ("{[a]: b}", "is not YAML: while constructing a mapping"),
        ("2001-99-99", "is not YAML"),
        ("2001-12-14t21:59:43.10-99:99", "is not YAML"),
        ("!!timestamp x", "is not YAML"),
        ("!!bool x", "is not YAML"),
        ('!!int ""', "is not YAML"),
        ("!!float x", "is not YAML"),
        ("!!python/object/apply:os.system [ls]", "is not YAML: could not determine a constructor"),
        ("\x00", "is not YAML"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(text, problem):
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, "The recipe a.yaml")
    message = str(caught.value)
    assert message.startswith(f"The recipe a.yaml {problem}")
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", None),
        (b"\xef\xbb\xbfa: \xc3\xa4", {"a": "ä"}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: [1, 2.5, yes, 2020-01-01x]", {"a": [1, 2.5, True, "2020-01-01x"]}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ("a: &a {x: 1}\nb: {<<: *a, y: 2}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
        (f'"{"1" * 5000}"', "1" * 5000),
    ],
)
def test_plain_data_is_read(text, values):
    assert parse_yaml(text, "The text") == values


def test_the_deepest_document_is_read():
    levels, value = 0, parse_yaml(DEEPEST, "The text")
    while value:
        levels, [value] = levels + 1, value
    assert levels == MOST_LEVELS - 1


def test_files(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("a: 1")
    assert read_yaml(tmp_path / "a.yaml", "It") == {"a": 1}
    for path, reason in ((tmp_path / "b.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(DocumentError, match=f"^It can't be read: {reason}\\.$"):
            read_yaml(path, "It")
    # An endless file is read up to the limit.
    monkeypatch.setattr(yaml_document, "MOST_BYTES", 1000)
    with pytest.raises(DocumentError, match="more than the 1,000 bytes"):
        read_yaml(Path("/dev/zero"), "It")


def test_the_error_crosses_processes():
    error = pickle.loads(pickle.dumps(DocumentError("The recipe", "is not YAML")))
    assert (str(error), error.problem) == ("The recipe is not YAML.", "is not YAML")
