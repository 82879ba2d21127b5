"""Where the registry of a home is."""

from contextlib import closing
from pathlib import Path

import pytest

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.registry.factories import KEY, MANIFEST


@pytest.mark.parametrize("named", ["", "elsewhere.db"])
def test_it_is_in_the_home_unless_the_variable_names_another(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = FactoryHome(tmp_path / "home")
    monkeypatch.setenv("FACTORY_REGISTRY", str(tmp_path / named) if named else "")
    with closing(open_registry(home)) as registry:
        registry.register_upload(KEY, MANIFEST)
    assert home.registry.exists() is not bool(named)
    with closing(Registry.open(tmp_path / named if named else home.registry)) as registry:
        assert [upload.key for upload in registry.uploads()] == [KEY]
