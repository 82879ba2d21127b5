import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.redaction import display, hide_addresses, redact, remove_signature

SECRET = "s3cr3t"
SCHEMES = st.sampled_from(["https", "http", "s3", "gs", "az", "ftp", "S3"])
HOSTS = st.sampled_from(["host", "host.example:8443", "127.0.0.1:9", "[::1]:80", "bucket"])
NAMES = st.text(string.ascii_letters + string.digits + "._-~%+=,", max_size=12)
PATHS = st.lists(NAMES, max_size=3).map(lambda names: "".join(f"/{name}" for name in names))
ODD = st.text(string.ascii_letters + string.digits + "@:!$&'()*+,;=%", max_size=6)
SIGNATURES = st.sampled_from(
    [
        "sig",
        "SIG",
        "Signature",
        "token",
        "access_token",
        "AWSAccessKeyId",
        "X-Amz-Signature",
        "X-Goog-Signature",
    ]
)


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, str]:
    """An address with secrets wherever one may stand, and as it may be shown."""
    scheme, host, path = draw(SCHEMES), draw(HOSTS), draw(PATHS)
    scheme = draw(st.sampled_from(["", "precomputed://"])) + scheme
    user = draw(st.sampled_from(["", f"{SECRET}@", f"me:{SECRET}@", f"{SECRET}:{SECRET}@"]))
    if user and draw(st.booleans()):
        user = f"me:{draw(ODD)}{SECRET}{draw(ODD)}@"
    query = draw(st.sampled_from(["", f"?sig={SECRET}", f"?a=1&{SECRET}=@b", f"?{SECRET}"]))
    fragment = draw(st.sampled_from(["", f"#{SECRET}"]))
    return f"{scheme}://{user}{host}{path}{query}{fragment}", f"{scheme}://{host}{path}"


@given(addresses())
def test_no_secret_of_an_address_is_shown(case: tuple[str, str]) -> None:
    address, shown = case
    assert display(address) == shown
    assert display(shown) == shown


@given(ODD.filter(lambda start: "@" not in start), st.sampled_from("/?#"), ODD)
def test_a_password_that_should_have_been_encoded_is_not_shown(start: str, mark: str, end: str) -> None:
    assert display(f"https://me:p{start}{mark}{end}{SECRET}@host/a.zip") == "https://host/a.zip"


@given(st.text())
def test_anything_can_be_shown(text: str) -> None:
    assert "://" in text or display(text) == text


@pytest.mark.parametrize("path", ["/data/a?b#c@d.zip", "a@b.zip", r"C:\a.zip", ""])
def test_a_path_stays(path: str) -> None:
    assert display(path) == path


def test_an_at_sign_in_a_path_stays() -> None:
    assert display("s3://bucket/a@b/c.zip") == "s3://bucket/a@b/c.zip"
    assert display("file:///home/a@b/c.zip?x") == "file:///home/a@b/c.zip"


@given(SCHEMES, HOSTS, PATHS, SIGNATURES, NAMES)
def test_no_signature_is_kept(scheme: str, host: str, path: str, key: str, value: str) -> None:
    bare = f"{scheme}://{host}{path}"
    assert remove_signature(f"{bare}?st=1&{key}={SECRET}{value}&se=2").lower() == bare.lower()


def test_a_query_without_a_signature_says_what_is_wanted_and_stays() -> None:
    assert remove_signature("https://host/wms?layer=B02&time=2020") == "https://host/wms?layer=B02&time=2020"
    assert remove_signature("/data/a.tif") == "/data/a.tif"


@given(addresses(), st.sampled_from(["", "/vsicurl/"]))
def test_no_query_and_no_user_of_an_address_in_a_text_survives(case: tuple[str, str], before: str) -> None:
    address = case[0].partition("#")[0]
    text = f"HTTP error 403 at {before}{address} while it was read from '{address}'"
    assert SECRET not in redact(text)
    assert redact(text).startswith(f"HTTP error 403 at {before}{case[1]} while it was read")
    assert hide_addresses(f"at {address} now") == "at (address) now"
