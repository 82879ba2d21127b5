"""A deleted version leaves nothing, and a deletion that was cut off is taken up."""

import pytest

from factory_pipeline.datasets.versions.delete import delete_version
from factory_pipeline.errors import LakeError, RegistryError
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box
from factory_pipeline_tests.datasets.versions.test_compare import made


def test_a_deleted_version_leaves_no_file_and_its_name_is_free(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    version = made(lake)
    export = lake.home.version(version.id).export("raw") / "data"
    export.mkdir(parents=True)
    (export / "a.tif").touch()
    with lake.registry.reading(version.id), pytest.raises(RegistryError, match="is being read"):
        delete_version(lake.registry, lake.home, version.id)
    assert export.exists()
    delete_version(lake.registry, lake.home, version.id)
    assert not list(lake.home.versions.iterdir())
    with pytest.raises(RegistryError, match="is deleted and can't be deleted"):
        delete_version(lake.registry, lake.home, version.id)
    assert made(lake).number == "1.0.0"


def test_a_deletion_that_was_cut_off_is_taken_up(lake: MadeLake, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    version = made(lake)

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("factory_pipeline.datasets.versions.delete.remove_folder", refuse)
        with pytest.raises(LakeError, match=r"can't be removed \(.*Permission denied\); delete it again"):
            delete_version(lake.registry, lake.home, version.id)
    delete_version(lake.registry, lake.home, version.id)
    assert lake.registry.datasets() == []
