"""Signing for Planetary Computer."""

import planetary_computer
import pytest
import requests

from factory_pipeline.errors import SourceUnavailableError
from factory_pipeline.stac.signing import sign_for_planetary_computer

BLOB = "https://account.blob.core.windows.net/container/a.tif"


def test_the_token_is_planetary_computer_s(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planetary_computer, "sign_url", lambda href: f"{href}?sig=1")
    assert sign_for_planetary_computer(BLOB) == f"{BLOB}?sig=1"


def test_a_service_that_does_not_respond_is_named_without_the_address(monkeypatch: pytest.MonkeyPatch):
    def fail(href: str) -> str:
        raise requests.ConnectionError(f"{href}?sig=secret")

    monkeypatch.setattr(planetary_computer, "sign_url", fail)
    with pytest.raises(SourceUnavailableError, match=r"account\.blob\.core\.windows\.net") as error:
        sign_for_planetary_computer(BLOB)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None
