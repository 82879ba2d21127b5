"""Deleting a version with its exports."""

import shutil

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.layout import FactoryHome


def delete_version(registry: Registry, home: FactoryHome, version_id: str) -> None:
    """Remove the files of a version and of its exports, and leave a tombstone of its number.

    With the last version its dataset is gone too, and its name is free. A deletion that was cut off can be
    called again.

    Raises:
        RegistryError: no such version, or it is being written, read or deleted already.
        LakeError: its files can't be removed.
    """
    with registry.deleting(version_id):
        try:
            shutil.rmtree(home.version(version_id).root)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LakeError(
                f"The files of version {version_id} can't be removed ({error}); "
                "delete it again once they can be."
            ) from error
