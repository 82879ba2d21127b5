"""The calls of the SDK that read or delete."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from factory_pipeline.datasets.versions import read_api
from factory_pipeline.datasets.versions.read_api import HANDLERS, READS, handle
from factory_pipeline.datasets.versions.read_calls import READ_CALLS
from factory_pipeline.errors import ArgumentError

NOTHING = cast(Any, SimpleNamespace())


def test_an_unknown_call_is_refused_with_those_that_exist():
    with pytest.raises(ArgumentError, match="allowed are collections, datasets"):
        handle(NOTHING, NOTHING, "drop_tables", {})


def test_a_call_gets_its_arguments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(HANDLERS, "dataset", lambda *_, dataset: {"name": dataset})
    assert handle(NOTHING, NOTHING, "dataset", {"dataset": "forests"}) == {"name": "forests"}


def test_what_changes_something_is_not_read():
    assert tuple(READS) == READ_CALLS
    assert set(HANDLERS) - set(READS) == {"delete"}
    assert read_api.READS["compare"] is HANDLERS["compare"]
