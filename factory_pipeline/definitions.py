"""The one Definitions object: everything that Dagster serves."""

import dagster as dg

from factory_pipeline.orchestration import jobs
from factory_pipeline.orchestration.builds import (
    checks,
    chips,
    dataset,
    footprints,
    killed_runs,
    recipe_checks,
    recipe_dataset,
    recipe_sensors,
    schedules,
)
from factory_pipeline.orchestration.builds import sensors as build_sensors
from factory_pipeline.orchestration.builds.recipe_lineage import build_specs
from factory_pipeline.orchestration.datasets import exports, versions
from factory_pipeline.orchestration.datasets import sensors as version_sensors
from factory_pipeline.orchestration.onboarding import abandoned, training, upload_batches
from factory_pipeline.orchestration.onboarding import assets as onboarding
from factory_pipeline.orchestration.onboarding import sensors as upload_sensors
from factory_pipeline.orchestration.releases import assets as releases
from factory_pipeline.orchestration.releases import receive
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.volumes import assets as pair_assets
from factory_pipeline.orchestration.volumes import sensors as pair_sensors
from factory_pipeline.storage.layout import FactoryHome

assets = dg.with_source_code_references(
    dg.load_assets_from_modules(
        [
            footprints,
            chips,
            dataset,
            recipe_dataset,
            onboarding,
            training,
            versions,
            exports,
            releases,
            pair_assets,
        ],
        include_specs=True,
    )
)

defs = dg.Definitions(
    # Those of the builds of recipes are known when the home is: reload the code location to see new ones.
    assets=[*assets, *build_specs(FactoryHome.from_environment())],
    asset_checks=dg.load_asset_checks_from_modules([checks, recipe_checks]),
    jobs=[
        *jobs.ALL,
        upload_batches.onboard_batch,
        receive.receive_release,
        *version_sensors.JOBS,
        *pair_sensors.JOBS,
    ],
    sensors=[
        *build_sensors.ALL,
        *killed_runs.ALL,
        *recipe_sensors.SENSORS,
        *upload_sensors.ALL,
        *abandoned.ALL,
        *version_sensors.SENSORS,
        *pair_sensors.SENSORS,
    ],
    schedules=schedules.ALL,
    resources={"factory": FactoryResource(), "pipes": dg.PipesSubprocessClient()},
    executor=dg.in_process_executor,
)
