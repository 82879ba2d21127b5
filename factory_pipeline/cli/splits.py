"""`factory splits`: what is known of the splits of a dataset, as text, JSON and a map."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import echo
from factory_pipeline.plain_text import count_noun

if TYPE_CHECKING:
    import polars as pl

    from factory_pipeline.storage.build_files import BuildFiles
    from factory_pipeline.storage.layout import FactoryHome

FILE = click.Path(dir_okay=False, path_type=Path, allow_dash=True)
IN_LETTERS = "-"
"""In place of the name of a PNG."""


@click.command()
@click.argument("dataset")
@click.option(
    "--map",
    "map_file",
    type=FILE,
    metavar="PNG",
    help="Also draw a map of the splits with their blocks; - draws it in letters.",
)
@json_option
def splits(dataset: str, map_file: Path | None, as_json: bool) -> None:
    """Say how the splits of a dataset were made, and whether they leak.

    DATASET is a version (NAME@1.0.0, or NAME for the latest), an onboarded upload (NAME or NAME@VERSION), the
    build of a recipe (its name), or the folder of a build.
    """
    from factory_pipeline.errors import FactoryError
    from factory_pipeline.imagery.footprints import footprints
    from factory_pipeline.splits.read_record import read_record
    from factory_pipeline.splits.split_blocks import side_of_blocks, split_blocks
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    is_folder = Path(dataset).is_dir() and (Path(dataset) / "splits.json").exists()
    if not is_folder:
        home.require_existing()
    name, path, items = _of_folder(Path(dataset)) if is_folder else _find_dataset(home, dataset)
    if not path.exists():
        raise FactoryError(
            f"{name} has no splits.json, as it was made by an earlier release; make it again to have one."
        )
    record = read_record(path)
    block_m = side_of_blocks(record["rule"])
    lines = _lines(name, record)
    if map_file is not None or block_m is not None:
        frame = items()
        if block_m is not None:
            blocks = split_blocks(footprints(frame), frame["split"], block_m)
            lines.append(f"Blocks     {_count(blocks['split'])}, of {block_m:,.0f} m")
        if map_file is not None:
            lines += _draw(map_file, frame, name, record["what"], block_m)
    if as_json:
        echo_json({"dataset": name, **record, "map": str(map_file) if map_file else None})
        return
    for line in lines:
        echo(line)


def _draw(map_file: Path, items: "pl.DataFrame", name: str, what: str, block_m: float | None) -> list[str]:
    """Draw a map and return what is printed of it."""
    from factory_pipeline.errors import FactoryError
    from factory_pipeline.splits.split_map import draw_text_map, write_split_map

    split = items.select("stem", "split")
    if str(map_file) == IN_LETTERS:
        lines = draw_text_map(items, split)
    else:
        drawn = write_split_map(map_file, items, split, name, block_m)
        lines = [f"Map        {map_file} ({drawn:,} {what})"] if drawn else []
    if not lines:
        raise FactoryError(f"{name} has no georeferenced item, so there is no map of it.")
    return lines


def _count(split: "pl.Series") -> str:
    counts = split.value_counts(sort=True).sort("count", "split", descending=[True, False])
    return ", ".join(f"{count:,} {name}" for name, count in counts.iter_rows()) or "none"


def describe_rule(rule: Mapping[str, Any]) -> str:
    """Return a rule of splits in one line; what is empty or switched off is left out.

    Args:
        rule: as `splits.json` has it.
    """
    return ", ".join(
        key if value is True else f"{key} {_in_words(value)}"
        for key, value in rule.items()
        if value is not False and value not in (None, {}, [], "")
    )


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_in_words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_in_words, value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _lines(name: str, record: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{count:,} {split}" for split, count in record["splits"].items())
    rule = describe_rule(record["rule"])
    distance = record["distance_m"]
    first, *others = record["sentences"]
    return [
        name,
        f"Splits     {counts}",
        f"Rule       {rule}",
        f"{'LEAK' if record['crossing_pairs'] else 'Leaks'}".ljust(11) + first,
        f"Searched   {count_noun(record['pairs_tested'], 'pair')} of footprints,"
        f" {count_noun(record['duplicates'], 'duplicate')};"
        f" {count_noun(record['groups'], 'group')}, the largest of {record['largest_group']:,}"
        f" {record['what']}",
        *([] if distance is None else [f"Distance   {distance:,.0f} m between train and the others"]),
        *(f"Note       {sentence}" for sentence in others),
    ]


def _find_dataset(home: "FactoryHome", name: str) -> tuple[str, Path, Any]:
    """Return the full name of a dataset, its record, and what reads its items."""
    from contextlib import closing

    from factory_pipeline.config.dataset_settings import DatasetSettings
    from factory_pipeline.datalake.registry.of_home import open_registry
    from factory_pipeline.datasets.versions.find import find_version
    from factory_pipeline.datasets.versions.item_ground import placed_items
    from factory_pipeline.errors import ArgumentError, FactoryError, RegistryError

    with closing(open_registry(home)) as registry:
        try:
            version = find_version(registry, name, "DATASET")
        except (ArgumentError, RegistryError) as error:
            keys = [upload.key for upload in registry.uploads() if upload.key.split("@")[0] == name]
            key = name if "@" in name else next(reversed(keys), None)
            if key is None or not home.upload(key).finished.root.exists():
                if name in home.dataset_build_names():
                    return _of_folder(DatasetSettings.load(home, name).files.root)
                raise FactoryError(f"No dataset is named {name}: {error}") from None
            files = home.upload(key).finished
            return key, files.splits, lambda: placed_items(files.items, "id")
        title = f"{registry.dataset(version.dataset_id).name} {version.number}"
    paths = home.version(version.id)
    return title, paths.splits, lambda: placed_items(paths.manifest, "name")


def _of_folder(folder: Path) -> tuple[str, Path, Any]:
    from factory_pipeline.storage.build_files import BuildFiles

    files = BuildFiles(folder.absolute())
    return folder.name, files.splits, lambda: _samples_of(files)


def _samples_of(files: "BuildFiles") -> "pl.DataFrame":
    """Return the samples of a build, which is that of a recipe if its files say so."""
    from factory_pipeline.builds.gedi_splits import samples_of
    from factory_pipeline.builds.recipe_split_record import windows_of_dataset
    from factory_pipeline.hdf5.describe_recipe import is_recipe_file
    from factory_pipeline.hdf5.opening import open_recipe_dataset
    from factory_pipeline.splits.names import SPLITS

    fused = next((path for path in map(files.fused, SPLITS) if path.exists()), None)
    if fused is None or not is_recipe_file(fused):
        return samples_of(files)
    with open_recipe_dataset(fused) as (_, recipe):
        return windows_of_dataset(recipe, files)
