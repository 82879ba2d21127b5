"""Exports: a version of a dataset in one format, an asset per format, a partition per version."""

from contextlib import closing

import dagster as dg

from factory_pipeline.datasets.exports.formats import FORMATS, Format
from factory_pipeline.datasets.exports.listing import read_exported
from factory_pipeline.datasets.exports.register_export import export_registered
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.partition_keys import version_of
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.datasets.versions import dataset_version
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import pages_url
from factory_pipeline.orchestration.partitions import versions
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_progress import RunProgress

GROUP = "exports"


def export_asset(form: Format) -> dg.AssetsDefinition:
    """Return the asset of one format."""

    @dg.asset(
        name=form.asset,
        description=(
            f"A version as {form.name}, read back before it counts as done. Each version is a partition;"
            " there are none until a version is made."
        ),
        deps=[dataset_version],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"file"},
        partitions_def=versions,
    )
    def exported(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
        home, version_id = factory.folder(), version_of(context.partition_key)
        with (
            user_errors(),
            closing(factory.registry()) as registry,
            open_content(registry, home, version_id) as content,
        ):
            export = export_registered(
                registry,
                home,
                version_id,
                form.name,
                content,
                RunProgress(context).report_export,
                context.log.warning,
            )
        folder = home.version(version_id).export(form.slug)
        listing = read_exported(folder)
        return dg.MaterializeResult(
            metadata={
                "folder": dg.MetadataValue.path(str(folder)),
                "download": dg.MetadataValue.url(f"{pages_url()}/exports/{version_id}/{form.slug}"),
                "files": len(listing.files),
                "bytes": sum(file.bytes for file in listing.files),
                "content hash": export.content_hash or "",
            }
        )

    return exported


exports = [export_asset(form) for form in FORMATS.values()]
