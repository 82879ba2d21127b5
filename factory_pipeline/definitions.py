"""The one Definitions object: everything that Dagster serves."""

import dagster as dg

from factory_pipeline.orchestration import jobs
from factory_pipeline.orchestration.builds import checks, chips, dataset, footprints, schedules
from factory_pipeline.orchestration.builds import sensors as build_sensors
from factory_pipeline.orchestration.datasets import exports, versions
from factory_pipeline.orchestration.datasets import sensors as version_sensors
from factory_pipeline.orchestration.onboarding import abandoned, training, upload_batches
from factory_pipeline.orchestration.onboarding import assets as onboarding
from factory_pipeline.orchestration.onboarding import sensors as upload_sensors
from factory_pipeline.orchestration.resources import FactoryResource

assets = dg.with_source_code_references(
    dg.load_assets_from_modules(
        [footprints, chips, dataset, onboarding, training, versions, exports], include_specs=True
    )
)

defs = dg.Definitions(
    assets=assets,
    asset_checks=dg.load_asset_checks_from_modules([checks]),
    jobs=[*jobs.ALL, upload_batches.onboard_batch, *version_sensors.JOBS],
    sensors=[*build_sensors.ALL, *upload_sensors.ALL, *abandoned.ALL, *version_sensors.SENSORS],
    schedules=schedules.ALL,
    resources={"factory": FactoryResource(), "pipes": dg.PipesSubprocessClient()},
    executor=dg.in_process_executor,
)
