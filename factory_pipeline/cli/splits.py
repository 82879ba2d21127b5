"""`factory splits`: what is known of the splits of a dataset, as text, JSON and a map."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import echo

if TYPE_CHECKING:
    import polars as pl

    from factory_pipeline.storage.layout import FactoryHome

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("dataset")
@click.option("--map", "map_file", type=FILE, metavar="PNG", help="Also draw a map of the splits.")
@json_option
def splits(dataset: str, map_file: Path | None, as_json: bool) -> None:
    """Say how the splits of a dataset were made, and whether they leak.

    DATASET is a version (NAME@1.0.0, or NAME for the latest), an onboarded upload (NAME or NAME@VERSION), or
    the folder of a build.
    """
    from factory_pipeline.errors import FactoryError
    from factory_pipeline.splits.record import read_record
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
    drawn = None
    if map_file is not None:
        from factory_pipeline.splits.split_map import write_split_map

        frame = items()
        drawn = write_split_map(map_file, frame, frame.select("stem", "split"), name)
        if not drawn:
            raise FactoryError(f"{name} has no georeferenced item, so there is no map of it.")
    if as_json:
        echo_json({"dataset": name, **record, "map": str(map_file) if map_file else None})
        return
    for line in _lines(name, record):
        echo(line)
    if map_file is not None:
        echo(f"Map        {map_file} ({drawn:,} {record['what']})")


def _lines(name: str, record: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{count:,} {split}" for split, count in record["splits"].items())
    rule = ", ".join(f"{key} {value}" for key, value in record["rule"].items() if value not in (None, {}, ""))
    distance = record["distance_m"]
    first, *others = record["sentences"]
    return [
        name,
        f"Splits     {counts}",
        f"Rule       {rule}",
        f"{'LEAK' if record['crossing_pairs'] else 'Leaks'}".ljust(11) + first,
        f"Searched   {record['pairs_tested']:,} pairs of footprints, {record['duplicates']:,} duplicates;"
        f" {record['groups']:,} groups, the largest of {record['largest_group']:,} {record['what']}",
        *([] if distance is None else [f"Distance   {distance:,.0f} m between train and the others"]),
        *(f"Note       {sentence}" for sentence in others),
    ]


def _find_dataset(home: "FactoryHome", name: str) -> tuple[str, Path, Any]:
    """Return the full name of a dataset, its record, and what reads its items."""
    from contextlib import closing

    from factory_pipeline.datalake.registry.registry import Registry
    from factory_pipeline.datasets.versions.find import find_version
    from factory_pipeline.errors import ArgumentError, FactoryError, RegistryError

    with closing(Registry.open(os.environ.get("FACTORY_REGISTRY") or home.registry)) as registry:
        try:
            version = find_version(registry, name, "DATASET")
        except (ArgumentError, RegistryError) as error:
            keys = [upload.key for upload in registry.uploads() if upload.key.split("@")[0] == name]
            key = name if "@" in name else next(reversed(keys), None)
            if key is None or not home.upload(key).finished.root.exists():
                raise FactoryError(f"No dataset is named {name}: {error}") from None
            files = home.upload(key).finished
            return key, files.splits, lambda: _lake_items(files.items, "id")
        title = f"{registry.dataset(version.dataset_id).name} {version.number}"
    paths = home.version(version.id)
    return title, paths.splits, lambda: _lake_items(paths.manifest, "name")


def _of_folder(folder: Path) -> tuple[str, Path, Any]:
    from factory_pipeline.builds.separate_splits import samples_of
    from factory_pipeline.storage.build_files import BuildFiles

    files = BuildFiles(folder.absolute())
    return folder.name, files.splits, lambda: samples_of(files)


def _lake_items(path: Path, name: str) -> "pl.DataFrame":
    """Return the items of a table as `splits.split_map` takes them."""
    import polars as pl

    from factory_pipeline.datasets.versions.item_ground import GROUND_SOURCE, ground_of

    table = pl.scan_parquet(path)
    known = table.collect_schema()
    absent = []
    if "width" not in known:
        # The items of an upload have their outline alone in a form that is needed here.
        absent = [
            pl.lit([], pl.List(pl.Struct({"sha256": pl.String}))).alias("media"),
            pl.lit(None, pl.List(pl.Float64)).alias("proj:transform"),
            *(pl.lit(None, pl.Int64).alias(side) for side in ("width", "height")),
        ]
    rows = (
        table.with_columns(absent)
        .select(pl.col(name).alias("stem"), "split", "proj:code", "proj:transform", *GROUND_SOURCE)
        .collect()
    )
    return rows.select("stem", "split").with_columns(ground_of(rows))
