"""Releases at an address of a real web host: with and without parts of files, redirected, broken off."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.archives.download import open_source
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.receive import (
    import_received,
    is_release_archive,
    receive_release,
)
from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.archives.servers import host, parts, redirect, whole
from factory_pipeline_tests.datalake.ingest.releases.archives import box, feature, pairs, tar_gz, zip_of
from factory_pipeline_tests.datalake.ingest.releases.conftest import Imports
from factory_pipeline_tests.postgres import postgres_server

pytestmark = pytest.mark.integration
"""Each test has a web host on loopback."""

FILES = pairs({"a": feature({"road": [box(1, 1, 4, 5)]}), "b": feature({"road": []})})
POLICY = IntakePolicy(private_addresses=True, retries=1)


def imported(imports: Imports, address: str, policy: IntakePolicy = POLICY, **options: str) -> Collection:
    """Receive and import a release."""
    received = receive_release(address, imports.home, policy, ReleaseOptions(**options))  # type: ignore[arg-type]
    collection, imports.report = import_received(imports.registry, imports.home, received.key, policy)
    assert not imports.home.release(received.key).archive.exists()
    return collection


def breaking_twice(content: bytes) -> Callable[..., None]:
    """A host whose first two answers end early."""
    answers = iter([parts(content, most=100)] * 2)
    return lambda request: next(answers, parts(content))(request)


def content_in(folder: Path) -> bytes:
    return tar_gz(folder / "made.tar.gz", FILES).read_bytes()


@pytest.mark.parametrize("answer", [parts, whole, breaking_twice])
def test_a_release_is_downloaded_and_imported(
    imports: Imports, tmp_path: Path, answer: Callable[[bytes], Callable[..., None]]
) -> None:
    """From a host of parts, one that sends whole files alone, and one whose connections break."""
    with host(answer(content_in(tmp_path))) as url:
        collection = imported(imports, f"{url}/roads-1.0.tar.gz")
        assert (collection.name, collection.item_count) == ("roads-1-0", 2)
        assert imports.report is not None
        assert (imports.report.archive, imports.report.classes) == ("roads-1.0.tar.gz", {"road": 1})
        # The same address again is the same collection.
        assert imported(imports, f"{url}/roads-1.0.tar.gz") == collection


def test_a_redirected_address_with_a_secret_is_read_and_the_secret_is_not_kept(
    imports: Imports, tmp_path: Path
) -> None:
    with host(parts(content_in(tmp_path))) as target, host(redirect(f"{target}/x?sig=TARGET")) as url:
        assert imported(imports, f"{url}/roads.tar.gz?sig=SECRET", name="Roads").name == "roads"
    kept = [path.read_bytes() for path in imports.home.root.rglob("*") if path.is_file()]
    assert kept
    assert not any(b"SECRET" in content or b"TARGET" in content for content in kept)


def test_hosts_in_private_networks_are_refused_unless_the_installation_allows_them(
    imports: Imports, tmp_path: Path
) -> None:
    with host(whole(content_in(tmp_path))) as url, pytest.raises(OnboardingError) as raised:
        receive_release(f"{url}/roads.tar.gz", imports.home, IntakePolicy())
    assert raised.value.code == "ADDRESS_NOT_ALLOWED"
    assert not imports.home.root.exists()


def test_what_does_not_match_in_a_remote_zip_is_named_before_it_is_downloaded(
    imports: Imports, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).bytes(4 << 20)
    archive = zip_of(tmp_path / "roads.zip", FILES | {"images/lonely.tif": noise})
    with SampleServer(tmp_path) as server:
        with pytest.raises(OnboardingError) as raised:
            receive_release(f"{server.url}/roads.zip", imports.home, POLICY)
        sent = server.counts()["/roads.zip"].bytes
    assert "images/lonely.tif has no label: labels/lonely.json is missing" in str(raised.value)
    assert raised.value.code == "UNPAIRED"
    assert sent < archive.stat().st_size / 10
    assert not imports.home.root.exists()


def no_release(folder: Path) -> bytes:
    return tar_gz(folder / "other.tar.gz", {"images/a.tif": b"x", "readme.json": b"{}"}).read_bytes()


@pytest.mark.parametrize("answer", [parts, whole])
@pytest.mark.parametrize(("made", "expected"), [(content_in, True), (no_release, False)])
def test_a_release_is_recognised_where_it_is(
    tmp_path: Path,
    answer: Callable[[bytes], Callable[..., None]],
    made: Callable[[Path], bytes],
    expected: bool,
) -> None:
    served: AbstractContextManager[str] = host(answer(made(tmp_path)))
    with served as url, open_source(f"{url}/a.tar.gz", POLICY) as source:
        assert is_release_archive(source, POLICY) is expected


@pytest.fixture
def shared_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The registry of every home is in a new database."""
    with postgres_server() as postgres:
        monkeypatch.setenv("FACTORY_REGISTRY", postgres.new_database())
        yield


@pytest.mark.usefixtures("shared_registry")
def test_of_two_machines_one_waits_for_the_other(tmp_path: Path) -> None:
    home, archive = FactoryHome(tmp_path / "home"), tmp_path / "roads.tar.gz"
    archive.write_bytes(content_in(tmp_path))
    with closing(open_registry(home)) as registry, ThreadPoolExecutor(1) as pool:
        policy = IntakePolicy(folders=(tmp_path,))
        key = receive_release(str(archive), home, policy).key
        with registry.batch_lease(BatchKey("releases", "import", key)):
            imports = pool.submit(import_received, registry, home, key, policy)
            with pytest.raises(TimeoutError):
                imports.result(timeout=1.0)
            assert registry.collections() == []
        collection, _ = imports.result(timeout=60)
        assert registry.collections() == [collection]
