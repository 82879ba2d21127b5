"""The documentation of the SDK's calls: each argument by itself, as an editor shows it."""

import inspect
import re

import pytest

from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.sdk.client import DatasetClient

ALIASES = ("collections", "export_types")
"""The names of 0.1, which refer to the call that they stand for."""
CALLS = [name for name in dir(DatasetClient) if not name.startswith("_") and name not in ALIASES]
SECTION = re.compile(r"^(Args|Returns|Raises|Example):\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)


def sections(call: str) -> dict[str, str]:
    return dict(SECTION.findall(inspect.getdoc(getattr(DatasetClient, call)) or ""))


@pytest.mark.parametrize("call", CALLS)
def test_each_argument_is_documented_by_itself(call: str) -> None:
    parameters = [
        each
        for each in inspect.signature(getattr(DatasetClient, call)).parameters.values()
        if each.name != "self"
    ]
    documented = dict(
        re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", sections(call).get("Args", ""), re.MULTILINE)
    )
    assert list(documented) == [each.name for each in parameters], "all of them, in their order"
    for each in parameters:
        text = " ".join(documented[each.name].split())
        assert "see above" not in text
        if each.default is not inspect.Parameter.empty:
            assert "default" in text, f"{each.name} has a default"
        if not isinstance(each.default, bool):
            assert "Example: `" in text, f"{each.name} has an example"


@pytest.mark.parametrize("call", CALLS)
def test_each_call_has_an_example_and_says_what_it_returns(call: str) -> None:
    found = sections(call)
    assert f".{call}(" in found["Example"]
    assert call == "delete_version" or found["Returns"].strip()


def test_the_formats_are_documented() -> None:
    assert re.findall(r"`(.+?)`", sections("list_export_types")["Returns"]) == list(FORMATS)


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_refers_to_the_call_that_it_stands_for(alias: str) -> None:
    assert f"`list_{alias}`" in (inspect.getdoc(getattr(DatasetClient, alias)) or "")
