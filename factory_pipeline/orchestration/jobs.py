"""Jobs that people, sensors and schedules start."""

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
from factory_pipeline.orchestration.builds.recipe_dataset import (
    received_recipe,
    recipe_collection,
    recipe_dataset,
    recipe_labels,
    recipe_samples,
)
from factory_pipeline.orchestration.failures import NO_RETRY
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
    tags=NO_RETRY,
    description="Onboards one upload: from its archive to a dataset that a model can be trained on.",
)

finetune_model = dg.define_asset_job(
    "finetune_model",
    selection=dg.AssetSelection.assets(finetuned_model),
    tags=NO_RETRY,
    description="Trains a model on an onboarded dataset by TerraTorch.",
)

import_release = dg.define_asset_job(
    "import_release",
    selection=dg.AssetSelection.groups("releases"),
    # A broken archive stays broken; a run whose process was killed is started again.
    tags=NO_RETRY,
    description="Imports one release, an archive of images and GeoJSON labels, as a collection.",
)

receive_recipe = dg.define_asset_job(
    "receive_recipe",
    selection=dg.AssetSelection.assets(received_recipe),
    tags=NO_RETRY,
    description="Checks a recipe of the inbox and saves the settings of its build.",
)

plan_recipe = dg.define_asset_job(
    "plan_recipe",
    selection=dg.AssetSelection.assets(recipe_labels),
    description="Reads the labels of a recipe and plans their batches.",
)

extract_recipe = dg.define_asset_job(
    "extract_recipe",
    selection=dg.AssetSelection.assets(recipe_samples),
    description="Extracts chosen batches of a recipe's dataset.",
)

fuse_recipe = dg.define_asset_job(
    "fuse_recipe",
    selection=dg.AssetSelection.assets(recipe_dataset, recipe_collection),
    description=(
        "Fuses the batches of a recipe's dataset into one file per split, which are a collection of the data"
        " lake; names what is missing."
    ),
)

ALL = [
    build_dataset,
    extract_batches,
    fuse_dataset,
    onboard_dataset,
    finetune_model,
    import_release,
    receive_recipe,
    plan_recipe,
    extract_recipe,
    fuse_recipe,
]
