"""The token of the calls that a web server handles."""

import pytest

from factory_pipeline.datasets.versions.read_calls import TOKEN, authorization


def test_a_token_is_sent_as_a_bearer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(TOKEN, "abc")
    assert authorization() == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize("empty", ["", None])
def test_without_a_token_no_header_is_sent(empty: str | None, monkeypatch: pytest.MonkeyPatch):
    if empty is None:
        monkeypatch.delenv(TOKEN, raising=False)
    else:
        monkeypatch.setenv(TOKEN, empty)
    assert authorization() == {}
