"""The one Definitions object: everything that Dagster serves."""

import dagster as dg

from factory_pipeline.assets import chips, dataset, exports, footprints, onboarding, training, versions
from factory_pipeline.automation import abandoned, checks, jobs, schedules, sensors, upload_batches, uploads
from factory_pipeline.automation import versions as versions_automation
from factory_pipeline.resources import Factory

assets = dg.with_source_code_references(
    dg.load_assets_from_modules(
        [footprints, chips, dataset, onboarding, training, versions, exports], include_specs=True
    )
)

defs = dg.Definitions(
    assets=assets,
    asset_checks=dg.load_asset_checks_from_modules([checks]),
    jobs=[*jobs.ALL, upload_batches.onboard_batch, *versions_automation.JOBS],
    sensors=[*sensors.ALL, *uploads.ALL, *abandoned.ALL, *versions_automation.SENSORS],
    schedules=schedules.ALL,
    resources={"factory": Factory(), "pipes": dg.PipesSubprocessClient()},
    executor=dg.in_process_executor,
)
