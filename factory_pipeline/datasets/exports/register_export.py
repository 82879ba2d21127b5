"""Exports that the registry knows: made once per version and format, kept with the version."""

import shutil
from collections.abc import Callable

from factory_pipeline.datalake.registry.records import Export, ExportState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.find_damage import damage_of
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.exports.write_export import OnSample, export_version
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home

OnDamage = Callable[[str], object]
"""Is told that an export is damaged and made again, in a sentence."""


def export_registered(
    registry: Registry,
    home: FactoryHome,
    version_id: str,
    export_type: str,
    content: VersionContent,
    on_sample: OnSample | None = None,
    on_damage: OnDamage | None = None,
) -> Export:
    """Export a version under the home and register it; a ready export whose files are as written is returned.

    The files of a ready export are verified by their hashes; where one is missing or differs, the export is
    made again.

    Args:
        registry: knows the version.
        home: where its files lie.
        version_id: of a ready version.
        export_type: name of the format.
        content: the version, opened.
        on_sample: is told of the progress, as by `export_version`.
        on_damage: is told if a ready export is damaged.

    Raises:
        ArgumentError: no such format.
        RegistryError: the version is not ready, or another is writing this export.
        ExportError: the version can't be written in the format; nothing is left of it.
    """
    chosen = format_named(export_type)
    folder = home.version(version_id).export(chosen.slug)
    damaged: str | None = None
    for export in registry.exports(version_id):
        if export.type == chosen.name and export.state is ExportState.READY:
            difference = next(damage_of(folder, export.content_hash), None)
            if difference is None:
                return export
            damaged = export.id
            if on_damage is not None:
                on_damage(f"The {chosen.name} export is damaged and is made again: {difference}")
    with registry.exporting(version_id, chosen.name, replaces=damaged) as export:
        # Nobody else writes here now: what lies here was left by a writer that died before it was registered.
        for left in (folder, *folder.parent.glob(f".{folder.name}.*.part")):
            shutil.rmtree(left, ignore_errors=True)
        files = export_version(content, chosen.name, folder, on_sample)
        return registry.finish_export(
            export.id, path=relative_to_home(folder, home), content_hash=files.content_hash
        )
