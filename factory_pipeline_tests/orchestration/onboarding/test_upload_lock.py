"""An upload is one process's at a time; how machines exclude each other is tested with `exclusive_work`."""

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.schema import batch_leases
from factory_pipeline.orchestration.onboarding.upload_lock import upload_lock
from factory_pipeline.storage.atomic import is_held
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.postgres import PostgresServer

KEY = "tiles@0123abcd"


def test_on_one_machine_a_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACTORY_REGISTRY", raising=False)
    home = FactoryHome(tmp_path / "home")
    with upload_lock(home, KEY):
        assert is_held(home.upload(KEY).lock)
        assert not home.registry.exists()
    assert not is_held(home.upload(KEY).lock)


@pytest.mark.integration
def test_other_machines_see_it_in_the_registry_under_its_key(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_REGISTRY", postgres.new_database())
    home = FactoryHome(tmp_path / "home")
    with upload_lock(home, KEY), closing(open_registry(home)) as registry, registry._read() as connection:
        assert connection.execute(sa.select(batch_leases.c.batch)).scalars().all() == [KEY]
