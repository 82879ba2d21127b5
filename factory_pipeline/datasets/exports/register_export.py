"""Registered exports: written once per version and format, stored with the version."""

from collections.abc import Callable

from factory_pipeline.datalake.registry.records import Export, ExportState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.find_damage import find_damage
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.exports.write_export import OnSample, export_version
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home

OnDamage = Callable[[str], object]
"""Called with a sentence if an export is damaged and written again."""


def export_registered(
    registry: Registry,
    home: FactoryHome,
    version_id: str,
    export_type: str,
    content: VersionContent,
    on_sample: OnSample | None = None,
    on_damage: OnDamage | None = None,
) -> Export:
    """Export a version under the home and register it; a ready and undamaged export is returned.

    The files of a ready export are verified by their hashes; if one is missing or differs, the export is
    written again.

    Args:
        registry: contains the version.
        home: contains its files.
        version_id: of a ready version.
        export_type: name of the format.
        content: the version, opened.
        on_sample: called with the progress, as by `export_version`.
        on_damage: called if a ready export is damaged.

    Raises:
        ArgumentError: there is no such format.
        RegistryError: the version is not ready, or another process writes this export.
        ExportError: the version can't be written in the format; nothing is left of it.
    """
    chosen = format_named(export_type)
    folder = home.version(version_id).export(chosen.slug)
    damaged: str | None = None
    for export in registry.exports(version_id):
        if export.type == chosen.name and export.state is ExportState.READY:
            difference = next(find_damage(folder, export.content_hash), None)
            if difference is None:
                return export
            damaged = export.id
            if on_damage is not None:
                on_damage(f"The {chosen.name} export is damaged and is written again: {difference}")
    with registry.exporting(version_id, chosen.name, replaces=damaged) as export:
        # No other process writes here now: existing files were left by a writer that died before it was
        # registered.
        for left in (folder, *folder.parent.glob(f".{folder.name}.*.part")):
            remove_folder(left)
        record = home.version(version_id).splits
        files = export_version(content, chosen.name, folder, on_sample, record if record.exists() else None)
        return registry.finish_export(
            export.id, path=relative_to_home(folder, home), content_hash=files.content_hash
        )
