"""A model trained on an onboarded dataset."""

import shutil
from collections.abc import Iterator

import dagster as dg

from factory_pipeline.onboarding.products.terratorch_tuning import (
    HOW_TO_INSTALL,
    TERRATORCH,
    TuningChoices,
)
from factory_pipeline.onboarding.products.training_folder import CONFIGURATION, training_folder
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.onboarding.assets import onboarded_dataset
from factory_pipeline.orchestration.partitions import datasets
from factory_pipeline.orchestration.resources import FactoryResource

LOG_METRICS = (
    "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
    "--trainer.logger.save_dir=terratorch_runs",
)
"""Options of `terratorch fit` that have the metrics written to a file that can be read while it trains."""


class TuningConfig(dg.Config):
    """What is changed in the dataset's own configuration; what is left out stays as it has it."""

    backbone: str | None = None
    max_epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


@dg.asset(
    deps=[onboarded_dataset],
    group_name="training",
    kinds={"pytorch"},
    owners=OWNERS,
    partitions_def=datasets,
)
def finetuned_model(
    context: dg.AssetExecutionContext,
    config: TuningConfig,
    factory: FactoryResource,
    pipes: dg.PipesSubprocessClient,
) -> Iterator[dg.MaterializeResult]:
    """The model that `terratorch fit` trains by the dataset's configuration, in a process of its own."""
    command = shutil.which(TERRATORCH)
    if command is None:
        raise dg.Failure(HOW_TO_INSTALL, allow_retries=False)
    choices = TuningChoices(config.backbone, config.max_epochs, config.batch_size, config.learning_rate)
    with training_folder(factory.folder(), context.partition_key, choices) as folder:
        result = pipes.run(
            context=context,
            command=[command, "fit", "--config", str(folder / CONFIGURATION), *LOG_METRICS],
            cwd=str(folder),
            extras={"dataset": context.partition_key},
        ).get_materialize_result()
    yield result
