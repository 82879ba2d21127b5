"""The folder in which a model is trained on an onboarded dataset: on this machine, wherever the home is."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory_pipeline.onboarding.products.terratorch_tuning import UNCHANGED, TuningChoices, write_resolved
from factory_pipeline.storage.folders import fetch_folder, publish_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.stored_path import StoredPath, scratch_folder
from factory_pipeline.storage.temporaries import temporary_in

CONFIGURATION = "terratorch.yaml"
"""The dataset's configuration in the folder, with absolute paths."""


@contextmanager
def training_folder(home: FactoryHome, key: str, choices: TuningChoices = UNCHANGED) -> Iterator[Path]:
    """Yield a local folder with the configuration that a model is trained by; what is left there is kept.

    In a home on the local disk it is the folder of the home, with what earlier trainings left. In a home on
    an object store the dataset is fetched to this machine before, and what the training left is published
    after the block, all at once, in place of an earlier training's; hidden files, which a store can't have,
    are left out. A block that fails publishes nothing.

    Args:
        home: contains the dataset.
        key: of the upload that became it.
        choices: what is changed in its configuration.

    Raises:
        StoreError: the store refuses or does not answer.
    """
    folder, dataset = home.training(key), home.upload(key).finished
    if not isinstance(folder, StoredPath):
        folder.mkdir(parents=True, exist_ok=True)
        # Its paths start from its own folder, TerraTorch's from where it runs.
        write_resolved(dataset.terratorch, folder / CONFIGURATION, choices)
        yield folder
        return
    work = temporary_in(scratch_folder() / "training", key)
    work.mkdir(parents=True)
    try:
        write_resolved(fetch_folder(dataset.root) / dataset.terratorch.name, work / CONFIGURATION, choices)
        yield work
        for hidden in sorted(work.rglob(".*"), reverse=True):
            shutil.rmtree(hidden) if hidden.is_dir() and not hidden.is_symlink() else hidden.unlink()
        publish_folder(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
