"""The location of a registry."""

from pathlib import Path

import pytest

from factory_pipeline.datalake.registry.url import display, registry_url
from factory_pipeline.errors import RegistryError


def test_a_path_is_an_sqlite_file():
    url = registry_url(Path("registry.db"))
    assert url.drivername == "sqlite"
    assert url.database == str(Path("registry.db").absolute())
    assert display(url) == url.database


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_gets_its_driver_and_shows_no_secret(scheme: str):
    url = registry_url(f"{scheme}://user:secret@host/lake?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert display(url) == "postgresql://host/lake"


@pytest.mark.parametrize(
    "where", ["mysql://user:secret@host/a", "sqlite://", "://x", "none://user:secret@host/a"]
)
def test_other_databases_are_refused_without_their_password(where: str):
    with pytest.raises(RegistryError) as error:
        registry_url(where)
    assert "secret" not in str(error.value)
