"""What an HTTP host is asked and what is refused, as far as no host is needed; `test_source` has one."""

import pytest

from factory_pipeline.archives.http_source import HttpSource, is_web_page
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline_tests.onboarding.uploads import OPEN


@pytest.mark.parametrize(
    ("head", "content_type", "is_page"),
    [
        (b"<!DOCTYPE html><html>", "application/zip", True),
        (b"\xef\xbb\xbf \n<HTML lang=en>", "", True),
        (b"<!-- sign in -->", "text/html; charset=utf-8", True),
        (b"<?xml version='1.0'?><kml>", "application/xml", False),
        (b"PK\x03\x04", "text/html", False),
        (b"", "text/html", False),
    ],
)
def test_a_web_page_is_known_by_its_first_bytes(head: bytes, content_type: str, is_page: bool) -> None:
    assert is_web_page(head, content_type) is is_page


def test_a_host_that_does_not_answer_is_named_without_credentials() -> None:
    with pytest.raises(OnboardingError, match="does not respond") as error:
        HttpSource("http://user:SECRET@127.0.0.1:1/a.zip?sig=SECRET", OPEN)
    assert error.value.code == "URL_UNREACHABLE"
    assert "SECRET" not in str(error.value)


def test_a_private_address_is_refused_before_it_is_asked() -> None:
    with pytest.raises(OnboardingError) as error:
        HttpSource("http://127.0.0.1:1/a.zip", IntakePolicy())
    assert error.value.code == "ADDRESS_NOT_ALLOWED"
