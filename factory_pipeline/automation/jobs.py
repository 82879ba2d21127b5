"""What a person starts by hand, and what sensors and schedules start."""

import dagster as dg

from factory_pipeline.assets.chips import copdem_chips, sentinel2_chips, worldcover_chips
from factory_pipeline.assets.dataset import batch_dataset, fused_dataset
from factory_pipeline.assets.footprints import footprint_subset, gedi_footprints, quality_footprints

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
    selection=dg.AssetSelection.assets(fused_dataset),
    description="Fuses the batches of the plan into one file per split; names what is missing.",
)

ALL = [build_dataset, extract_batches, fuse_dataset]
