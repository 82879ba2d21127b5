"""From granules to batches of footprints: aggregation, filter, subset."""

from collections.abc import Mapping

import dagster as dg

from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.gedi.batches import CatalogKey
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import counts_table, picture, text_table
from factory_pipeline.orchestration.partitions import BATCHES
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.stac.providers import open_catalog

GROUP = "footprints"
OWNERS = ["team:dataset-factory"]
FOOTPRINT_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("shot_number", "int64", "unique number of the shot"),
        dg.TableColumn("granule", "string", "GEDI L4A product"),
        dg.TableColumn("beam", "string"),
        dg.TableColumn("delta_time", "float64", "seconds since 2018-01-01 00:00 UTC"),
        dg.TableColumn("lat_lowestmode", "float64", "degrees"),
        dg.TableColumn("lon_lowestmode", "float64", "degrees"),
        dg.TableColumn("agbd", "float32", "aboveground biomass density [Mg/ha]"),
        dg.TableColumn("agbd_se", "float32", "its standard error [Mg/ha]"),
        dg.TableColumn("l2_quality_flag", "uint8"),
        dg.TableColumn("l4_quality_flag", "uint8"),
        dg.TableColumn("surface_flag", "uint8"),
    ]
)


@dg.asset(
    group_name=GROUP,
    kinds={"hdf5", "parquet", "polars"},
    owners=OWNERS,
    metadata={"dagster/column_schema": FOOTPRINT_COLUMNS},
)
def gedi_footprints(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """Every footprint of every granule, one Parquet file per granule; a granule is read once.

    A granule that can't be read is skipped with its reason; the others continue.
    """
    with user_errors():
        aggregation = footprint_stages.aggregate(factory.settings(), on_granule=context.log.info)
    if aggregation is None:
        return dg.MaterializeResult(metadata={"dagster/row_count": 0, "granules": 0})
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": aggregation.footprints,
            "granules": len(aggregation.granules),
            "granules set aside": len(aggregation.set_aside),
            "reasons": _make_table("granule", "reason", aggregation.set_aside),
            "replaced": _make_table("production", "replaced by", aggregation.replaced),
            "no longer in the source": list(aggregation.gone),
            "not read": _make_table("path", "reason", aggregation.ignored),
        }
    )


def _make_table(key: str, value: str, entries: Mapping[str, str]) -> dg.MetadataValue:
    return text_table([{key: name, value: text} for name, text in entries.items()], [key, value])


@dg.asset(
    deps=[gedi_footprints],
    group_name=GROUP,
    kinds={"parquet", "csv", "polars"},
    owners=OWNERS,
    metadata={"dagster/column_schema": FOOTPRINT_COLUMNS},
)
def quality_footprints(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The footprints that pass every quality rule, by split; each dropped one is in the ledger."""
    settings = factory.settings()
    with user_errors():
        quality = footprint_stages.filter_by_quality(settings)
    context.log.info(f"{sum(quality.kept.values())} of {quality.footprints} footprints pass.")
    plots = {
        f"distribution of {split}": picture(settings.files.combined_plot(split).read_bytes(), split)
        for split in quality.kept
        if settings.files.combined_plot(split).exists()
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(quality.kept.values()),
            "footprints in": quality.footprints,
            "dropped by rule": counts_table("rule", quality.dropped),
            "kept by split": counts_table("split", quality.kept),
            **plots,
        }
    )


@dg.asset(
    deps=[quality_footprints],
    group_name=GROUP,
    kinds={"parquet", "csv", "polars"},
    owners=OWNERS,
    metadata={"dagster/column_schema": FOOTPRINT_COLUMNS},
)
def footprint_subset(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The footprints drawn for the dataset, evenly over the days of each split, and their batches.

    Registers a partition per batch. What is already batched keeps its batch when granules arrive later.
    """
    settings = factory.settings()
    with user_errors():
        provider = open_catalog(settings.catalog).provider
        plan = footprint_stages.plan_subset(settings, CatalogKey(provider.name, provider.digest()))
    if plan.change:
        context.log.info(plan.change)
    known = set(context.instance.get_dynamic_partitions(BATCHES))
    context.instance.add_dynamic_partitions(BATCHES, [key for key in plan.keys if key not in known])
    for gone in sorted(known.difference(plan.keys)):
        context.instance.delete_dynamic_partition(BATCHES, gone)
    plots = {
        f"distribution of {split}": picture(settings.files.subset_plot(split).read_bytes(), split)
        for split in plan.footprints_by_split
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": plan.footprints,
            "subset by split": counts_table("split", plan.footprints_by_split),
            "batches": len(plan.keys),
            "new batches": len(set(plan.keys) - known),
            "batch plan": plan.digest,
            "changed": plan.change,
            **plots,
        }
    )
