"""Secrets in addresses, settings and the environment: nothing that is written or printed has one."""

import gzip
import io
import logging
import sqlite3
import zipfile
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from factory_pipeline.cli.main import cli
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.builds.gedi.factories import write_granule
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

pytestmark = pytest.mark.integration

PLANTED = "PLANTED"
"""Every secret of the test begins so."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": f"{PLANTED}-aws-id",
    "AWS_SECRET_ACCESS_KEY": f"{PLANTED}-aws",
    "AWS_SESSION_TOKEN": f"{PLANTED}-session",
    "AZURE_STORAGE_ACCOUNT_KEY": f"{PLANTED}-azure",
    "AZURE_STORAGE_SAS_TOKEN": f"sig={PLANTED}-sas",
    "PC_SDK_SUBSCRIPTION_KEY": f"{PLANTED}-pc",
    "GOOGLE_SERVICE_ACCOUNT_KEY": f"{PLANTED}-google",
    "PGPASSWORD": f"{PLANTED}-pg",
    "FACTORY_TOKEN": f"{PLANTED}-token",
}


def texts_of(path: Path) -> bytes:
    """The bytes of a file, and what it holds where that is compressed or cut in pages."""
    content = path.read_bytes()
    if content[:16] == b"SQLite format 3\0":
        with closing(sqlite3.connect(path)) as database:
            return content + "\n".join(database.iterdump()).encode()
    if path.suffix == ".parquet":
        metadata = str(pl.read_parquet_metadata(path))
        return content + (metadata + str(pl.read_parquet(path).to_dicts())).encode()
    if content[:2] == b"\x1f\x8b":
        return content + gzip.decompress(content)
    if content[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return content + b"".join(map(archive.read, archive.namelist()))
    return content


def with_secrets(*folders: Path) -> list[str]:
    """The files that have a secret, and those whose name has one."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if PLANTED.encode() in texts_of(path) or PLANTED in str(path)]


def test_the_search_finds_what_is_compressed(tmp_path: Path) -> None:
    pl.DataFrame({"a": [f"{PLANTED}-1" * 50]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(PLANTED.encode() * 50))
    with closing(sqlite3.connect(tmp_path / "c.db")) as database:
        database.execute("CREATE TABLE t (a)")
        database.execute("INSERT INTO t VALUES (?)", ("x" * 10_000 + PLANTED,))
        database.commit()
    (tmp_path / "d.txt").write_text("nothing")
    assert sorted(Path(path).name for path in with_secrets(tmp_path)) == ["a.parquet", "b.json.gz", "c.db"]


def test_no_secret_is_written_or_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    home, exported, built = FactoryHome(tmp_path / "home"), tmp_path / "exported", tmp_path / "built"
    home.root.mkdir()
    home.intake_file.write_text("private_addresses: true\nretries: 0\n")
    (tmp_path / "served").mkdir()
    zip_of(tmp_path / "served" / "rivers.zip", pairs(6))
    write_granule(tmp_path / "granules")
    printed: list[str] = []

    def factory(*arguments: str | Path) -> Result:
        environment = {"FACTORY_HOME": str(home.root), "COLUMNS": "200"}
        result = CliRunner().invoke(cli, [*map(str, arguments)], env=environment)
        printed.append(result.output + str(result.exception or ""))
        return result

    def manifest(name: str, address: str) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": address, "dataset_name": name}))
        return path

    with SampleServer(tmp_path / "served") as server:
        signed = f"{server.url}/rivers.zip?sv=2021&sig={PLANTED}-sig"
        user = server.url.replace("://", f"://me:{PLANTED}-password@")
        assert factory("onboard", manifest("Rivers", signed)).exit_code == 0
        # Refused, failed and misnamed.
        assert factory("onboard", manifest("user", f"{user}/rivers.zip")).exit_code != 0
        assert (
            factory("onboard", manifest("away", f"{server.url}/none.zip?sig={PLANTED}-none")).exit_code != 0
        )
        assert factory("prescan", f"{user}/rivers.zip").exit_code != 0
        catalog = f"{user}/no-catalog?token={PLANTED}-catalog"
        assert factory("doctor", "--catalog", catalog).exit_code != 0
        build = ("--input", tmp_path / "granules", "--output", built, "--num-processors", "1")
        assert factory("create-dataset", *build, "--catalog", catalog).exit_code != 0
    assert factory("datasets").exit_code == 0
    assert factory("dataset", "create", "rivers").exit_code == 0
    assert factory("dataset", "download", "rivers", "COCO", "--output", exported).exit_code == 0
    with closing(Registry.open(home.registry)) as registry:
        assert {upload.code for upload in registry.uploads()} >= {None, "URL_UNREACHABLE"}
    assert PLANTED not in "".join(printed)
    assert PLANTED not in caplog.text
    assert b64encode(f"me:{PLANTED}".encode()).decode()[:12] not in caplog.text
    assert with_secrets(home.root, exported, built) == []
