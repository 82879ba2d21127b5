"""Deleting a version with its exports."""

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome


def delete_version(registry: Registry, home: FactoryHome, version_id: str) -> None:
    """Remove the files of a version and of its exports; its number is not reused.

    With the last version its dataset is deleted too, and its name can be used again. An interrupted deletion
    can be repeated.

    Args:
        registry: contains the version.
        home: contains its files.
        version_id: its full id.

    Raises:
        RegistryError: the version does not exist, is being written or read, or is already deleted.
        LakeError: its files can't be removed.
    """
    with registry.deleting(version_id):
        try:
            remove_folder(home.version(version_id).root)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LakeError(
                f"The files of version {version_id} can't be removed ({error}); "
                "delete it again once they can be."
            ) from error
