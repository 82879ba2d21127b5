"""How the commands find an upload by the name that is typed, and what `delete` takes away."""

from contextlib import closing
from pathlib import Path

import pytest
import yaml

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.errors import RegistryError
from factory_pipeline.runs.instance import open_instance
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug
from factory_pipeline_tests.cli.test_onboarding import command
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

pytestmark = pytest.mark.integration


@pytest.fixture
def named(tmp_path: Path) -> FactoryHome:
    """A home with uploads of names that are alike."""
    home = FactoryHome(tmp_path / "home")
    with closing(open_registry(home)) as registry:
        for name, version in (("森林", 1), ("森林", 2), ("河流", 1), ("Burn Scars", 1), ("Forêt", 1)):
            manifest = yaml.safe_dump({"dataset_name": name}, allow_unicode=True)
            registry.register_upload(f"{slug(name)}@0000000{version}", manifest)
    return home


@pytest.mark.parametrize("name", ["burn scars", "BURN-SCARS", "burn-scar", "Foret", "foret", "dataset", "森"])
def test_delete_refuses_a_name_that_is_only_like_another(named: FactoryHome, name: str) -> None:
    deleted = command(named, "delete", "--yes", name)
    assert isinstance(deleted.exception, RegistryError)
    assert f"has no upload {name!r}" in str(deleted.exception)
    assert len(command(named, "datasets").stdout.splitlines()) == 5


def test_delete_asks_for_the_version_of_a_name_that_has_several(named: FactoryHome) -> None:
    deleted = command(named, "delete", "--yes", "森林")
    key = slug("森林")
    assert (
        str(deleted.exception) == f"森林 has 2 uploads; choose one of them: {key}@00000001, {key}@00000002."
    )
    assert len(command(named, "datasets").stdout.splitlines()) == 5


@pytest.mark.parametrize(
    "name", ["河流", "burn-scars", "Burn Scars", "Fore\u0302t", f"{slug('森林')}@00000001"]
)
def test_delete_takes_exact_names_and_keys(named: FactoryHome, name: str) -> None:
    deleted = command(named, "delete", "--yes", name)
    assert deleted.exit_code == 0, deleted.exception
    assert len(command(named, "datasets").stdout.splitlines()) == 4


def test_show_finds_the_newest_version_of_a_name_as_it_is_typed(named: FactoryHome) -> None:
    assert command(named, "show", "BURN scars").output.startswith("burn-scars@00000001")
    assert command(named, "show", "森林").output.startswith(f"{slug('森林')}@00000002")


def test_delete_asks_first_then_removes_files_and_partition(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    zip_of(tmp_path / "a.zip", pairs(4))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({**MANIFEST, "dataset_url": "a.zip"}))
    assert command(home, "onboard", tmp_path / "a.yaml").exit_code == 0
    assert "Nothing was deleted" in command(home, "delete", "a", answers="n\n").output
    assert list(home.datasets.glob("a/*/dataset.html"))
    assert "was deleted" in command(home, "delete", "a", answers="y\n").output
    with open_instance(home) as instance:
        assert not instance.get_dynamic_partitions("datasets")
    assert not list(home.datasets.iterdir())
    assert "No dataset yet" in command(home, "datasets").output
    assert (tmp_path / "a.zip").exists()
    assert command(home, "onboard", tmp_path / "a.yaml").exit_code == 0, "asked for again by name"
