"""Which upload a name means."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from factory_pipeline.datalake.registry.find_upload import find_upload
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError

RIVERS = ("rivers@00000001", "rivers@00000002")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Two uploads of `rivers`, one whose folder has a plain name, and one whose manifest is no YAML."""
    with closing(Registry.open(tmp_path_factory.mktemp("uploads") / "registry.db")) as registry:
        for key in RIVERS:
            registry.register_upload(key, "dataset_name: rivers\n")
        registry.register_upload("walder@00000003", "dataset_name: Wälder\n")
        registry.register_upload("broken@00000004", "[")
        yield registry


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (RIVERS[0], RIVERS[0]),
        ("rivers", RIVERS[1]),
        ("Rivers", RIVERS[1]),
        ("walder", "walder@00000003"),
        ("Wälder", "walder@00000003"),
        # As a Mac types it: a letter and its accent.
        ("Wa\u0308lder", "walder@00000003"),
        ("broken", "broken@00000004"),
    ],
)
def test_the_newest_that_has_the_name_is_found(registry: Registry, name: str, key: str) -> None:
    assert find_upload(registry, name).key == key


@pytest.mark.parametrize("exactly", [False, True])
def test_a_name_that_no_upload_has_is_refused(registry: Registry, exactly: bool) -> None:
    with pytest.raises(RegistryError, match="no upload 'lakes'; `factory upload list` lists them all"):
        find_upload(registry, "lakes", exactly=exactly)


def test_what_destroys_needs_a_name_that_one_upload_has_exactly(registry: Registry) -> None:
    assert find_upload(registry, RIVERS[0], exactly=True).key == RIVERS[0]
    assert find_upload(registry, "Wälder", exactly=True).key == "walder@00000003"
    with pytest.raises(RegistryError, match="rivers has 2 uploads; choose one of them: "):
        find_upload(registry, "rivers", exactly=True)
    with pytest.raises(RegistryError, match="no upload 'Rivers'"):
        find_upload(registry, "Rivers", exactly=True)
