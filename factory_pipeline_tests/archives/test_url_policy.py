"""Which hosts and folders may be read."""

from pathlib import Path

import pytest

from factory_pipeline.archives.url_policy import (
    check_host,
    check_peer,
    check_scheme,
    has_user,
    local_path,
    scheme_of,
)
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError


def test_a_path_has_the_scheme_file():
    assert [scheme_of(url) for url in ("/a.zip", "HTTPS://host/a", "s3://b/a")] == ["file", "https", "s3"]


def test_users_are_seen_in_addresses_alone():
    assert has_user("https://user:word@host/a")
    assert not has_user("https://host/a@b")
    assert not has_user("/data/a@b.zip")


@pytest.mark.parametrize("url", ["ftp://host/a.zip", "https://host/a::file:///etc"])
def test_only_known_schemes_are_opened(url: str):
    with pytest.raises(OnboardingError) as error:
        check_scheme(url, IntakePolicy())
    assert error.value.code == "SCHEME_NOT_ALLOWED"


def test_links_are_resolved_before_folders_are_compared(tmp_path: Path):
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "a.zip").write_bytes(b"")
    (allowed / "link.zip").symlink_to(other / "a.zip")
    policy = IntakePolicy(folders=(allowed,))
    assert local_path(str(allowed / "a.zip"), policy) == allowed / "a.zip"
    for path in (allowed / "link.zip", allowed / ".." / "other" / "a.zip"):
        with pytest.raises(OnboardingError, match="outside the folders"):
            local_path(str(path), policy)


@pytest.mark.parametrize(
    "peer",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fe80::1%eth0"],
)
def test_private_addresses_are_refused_in_every_form(peer: str):
    with pytest.raises(OnboardingError, match="private network"):
        check_peer("host", peer, IntakePolicy())
    check_peer("host", peer, IntakePolicy(private_addresses=True))


def test_public_addresses_are_allowed_and_a_host_is_needed():
    check_peer("host", "93.184.216.34", IntakePolicy())
    with pytest.raises(OnboardingError, match="contains no host"):
        check_host("https:///a.zip", IntakePolicy())
