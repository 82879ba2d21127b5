"""What a person starts by hand, and what sensors and schedules start."""

import dagster as dg

from factory_pipeline.orchestration.builds.chips import copdem_chips, sentinel2_chips, worldcover_chips
from factory_pipeline.orchestration.builds.dataset import (
    batch_dataset,
    fused_dataset,
    gedi_collection,
    gedi_upload,
)
from factory_pipeline.orchestration.builds.footprints import (
    footprint_subset,
    gedi_footprints,
    quality_footprints,
)
from factory_pipeline.orchestration.onboarding.training import finetuned_model

build_dataset = dg.define_asset_job(
    "build_dataset",
    selection=dg.AssetSelection.assets(gedi_footprints, quality_footprints, footprint_subset),
    description=(
        "The whole build: reads new granules, filters, draws the subset and plans its batches. "
        "The batches then start by themselves, and the fuse when the last one is done."
    ),
)

extract_batches = dg.define_asset_job(
    "extract_batches",
    selection=dg.AssetSelection.assets(sentinel2_chips, copdem_chips, worldcover_chips, batch_dataset),
    description="Extracts chosen batches; pick the missing ones in the launchpad.",
)

fuse_dataset = dg.define_asset_job(
    "fuse_dataset",
    selection=dg.AssetSelection.assets(fused_dataset, gedi_collection, gedi_upload),
    description=(
        "Fuses the batches of the plan into one file per split, which are a collection of the data lake, and "
        "where the settings say so an upload that is onboarded; names what is missing."
    ),
)

onboard_dataset = dg.define_asset_job(
    "onboard_dataset",
    selection=dg.AssetSelection.groups("onboarding"),
    # A broken archive stays broken; a run whose process was killed is started again.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
    description="Onboards one upload: from its archive to a dataset that a model can be trained on.",
)

finetune_model = dg.define_asset_job(
    "finetune_model",
    selection=dg.AssetSelection.assets(finetuned_model),
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
    description="Trains a model on an onboarded dataset by TerraTorch.",
)

ALL = [build_dataset, extract_batches, fuse_dataset, onboard_dataset, finetune_model]
