"""Commands that make a dataset of a recipe. Heavy imports are inside the commands, as in `main`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory_pipeline.cli import onboarding
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.own_process import import_for_workers
from factory_pipeline.cli.paths import FILE, FOLDER, PLACE, make_absolute
from factory_pipeline.cli.terminal import echo, echo_block
from factory_pipeline.plain_text import count_noun
from factory_pipeline.processors import processor_count

if TYPE_CHECKING:
    from factory_pipeline.config.build_settings import BuildSettings, Modality
    from factory_pipeline.config.dataset_recipe import DatasetRecipe
    from factory_pipeline.storage.layout import FactoryHome


@click.command("create-dataset")
@click.option(
    "--input", "granules", metavar="DIR", help="Folder or object-store prefix with GEDI L4A granules."
)
@click.option("--output", type=PLACE, required=True, metavar="DIR", help="Where the dataset is written.")
@click.option("--recipe", type=FILE, metavar="FILE", help="The dataset's definition (YAML).")
@click.option(
    "--catalog",
    default="planetary-computer",
    show_default=True,
    metavar="NAME|URL|PATH",
    help="A provider's name, a STAC API's URL, or a folder with a static catalog.",
)
@click.option("--dataset-size-max", type=click.IntRange(min=1), metavar="N", help="Footprints per split.")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Footprints per batch.")
@click.option(
    "--num-processors",
    type=click.IntRange(min=1),
    metavar="N",
    help="Most batches worked on at the same time.  [default: the number of cores]",
)
@click.option(
    "--path-aggregated-csv-train", type=FILE, metavar="F", help="Footprints that passed the filter."
)
@click.option("--path-aggregated-csv-test", type=FILE, metavar="F", help="Footprints that passed the filter.")
@click.option("--path-subset-csv-train", type=FILE, metavar="F", help="Footprints to extract.")
@click.option("--path-subset-csv-test", type=FILE, metavar="F", help="Footprints to extract.")
@click.option("--plot-distribution", is_flag=True, help="Also plot all footprints that pass the filter.")
@click.option(
    "--onboard",
    is_flag=True,
    help="Also onboard the dataset: train and validation, statistics, a page, a training configuration.",
)
@click.option(
    "--modality",
    "modalities",
    type=click.Choice(["S2", "DEM", "LC"]),
    multiple=True,
    default=["S2"],
    show_default=True,
    help="What a model of the onboarded dataset gets to see; can be given several times.",
)
@click.option(
    "--fuse-hdf5-datasets",
    "fuse_folder",
    type=FOLDER,
    metavar="DIR",
    help="Only fuse the batch files in DIR into one file per split in --output.",
)
@json_option
def create_dataset(
    granules: str | None,
    output: Path,
    recipe: Path | None,
    catalog: str,
    dataset_size_max: int | None,
    batch_size: int | None,
    num_processors: int | None,
    path_aggregated_csv_train: Path | None,
    path_aggregated_csv_test: Path | None,
    path_subset_csv_train: Path | None,
    path_subset_csv_test: Path | None,
    plot_distribution: bool,
    onboard: bool,
    modalities: tuple["Modality", ...],
    fuse_folder: Path | None,
    as_json: bool,
) -> None:
    """Make the dataset of a recipe; without one train_dataset.h5 and test_dataset.h5 from GEDI granules.

    A recipe of other labels needs no --input. A CSV given by --path-aggregated-csv-* or
    --path-subset-csv-* replaces the stages before it for its split. Can be interrupted: the same command
    resumes.
    """
    from factory_pipeline.config.build_settings import BuildSettings
    from factory_pipeline.config.dataset_recipe import load_recipe
    from factory_pipeline.config.recipe import Recipe
    from factory_pipeline.storage.layout import FactoryHome
    from factory_pipeline.storage.slug import slug

    if fuse_folder is not None:
        if onboard:
            raise click.UsageError("--onboard needs a complete build; remove --fuse-hdf5-datasets.")
        fuse_batches(fuse_folder, output, as_json)
        return
    aggregated = _keep_given(train=path_aggregated_csv_train, test=path_aggregated_csv_test)
    subset = _keep_given(train=path_subset_csv_train, test=path_subset_csv_test)
    given = load_recipe(recipe) if recipe else Recipe()
    if not isinstance(given, Recipe):
        gedi_only: dict[str, object] = {
            "--input": granules,
            "--path-aggregated-csv-*": aggregated,
            "--path-subset-csv-*": subset,
            "--dataset-size-max": dataset_size_max,
            "--plot-distribution": plot_distribution,
            "--onboard": onboard,
        }
        named = next((option for option, value in gedi_only.items() if value), None)
        if named is not None:
            raise click.UsageError(f"{named} goes with the GEDI dataset; the recipe has labels of its own.")
        import_for_workers()
        home = FactoryHome.from_environment()
        home.require_folder()
        build_recipe_dataset(
            given,
            output,
            catalog,
            home=home,
            batch_size=batch_size,
            workers=num_processors,
            as_json=as_json,
        )
        return
    definition = given.with_sizes(dataset_size_max, batch_size)
    if granules is None and definition.splits.keys() - aggregated.keys() - subset.keys():
        raise click.UsageError(
            "Name the recipe of labels of your own by --recipe, or the folder with GEDI granules by --input."
        )
    import_for_workers()
    settings = BuildSettings(
        granules=make_absolute(granules or ""),
        output=output.absolute(),
        catalog=make_absolute(catalog) if Path(catalog).exists() else catalog,
        recipe=definition,
        workers=num_processors or processor_count(),
        aggregated_csv=aggregated,
        subset_csv=subset,
        plot_distribution=plot_distribution,
        onboard=onboard,
        onboard_modalities=tuple(dict.fromkeys(modalities)),
    )
    home = FactoryHome.from_environment()
    home.require_folder()
    run_build(home, settings.with_tuning_of(home), as_json)
    if onboard:
        onboarding.onboard_and_show(home.dropped_manifest(slug(definition.name)), home, quiet=as_json)


@click.command("check-recipe")
@click.argument("recipe", type=FILE)
@click.option(
    "--catalog",
    metavar="NAME|URL|PATH",
    help="Also search it: which scenes would be taken, how much would be read.",
)
@json_option
def check_recipe(recipe: Path, catalog: str | None, as_json: bool) -> None:
    """Say what a recipe would make, before anything is read: labels by rule, windows, scenes, bytes, time.

    The exit code is 1 if no label would become a sample.
    """
    from factory_pipeline.builds.check_recipe import forecast
    from factory_pipeline.builds.progress import CatalogWait
    from factory_pipeline.config.build_settings import CATALOG_PATIENCE_S
    from factory_pipeline.config.dataset_recipe import load_recipe
    from factory_pipeline.config.recipe import Recipe
    from factory_pipeline.sdk.progress_bar import ProgressLine

    definition = load_recipe(recipe)
    if isinstance(definition, Recipe):
        echo(f"{recipe} is a valid recipe of the GEDI dataset.")
        return
    with ProgressLine() as line:
        wait = CatalogWait(CATALOG_PATIENCE_S)

        def on_wait(host: str, seconds: float) -> None:
            wait.note(host, seconds)
            line.show(str(wait), 0.0)

        expected = forecast(definition, catalog, on_wait)
    if as_json:
        echo_json(asdict(expected))
    else:
        echo_block(expected)
    if expected.makes_nothing:
        click.get_current_context().exit(1)


def run_build(home: "FactoryHome", settings: "BuildSettings", as_json: bool = False) -> None:
    """Run a build with a progress line, then print its summary.

    Args:
        home: of the build.
        settings: of the build.
        as_json: print the summary as JSON instead of text.
    """
    from factory_pipeline.runs import build
    from factory_pipeline.sdk.progress_bar import BuildLine

    with BuildLine() as line:
        summary = build.run_build(home, settings, line.show_build)
    if as_json:
        echo_json({**asdict(summary), "extraction_yield": round(summary.extraction_yield, 4)})
    else:
        echo_block(summary)


def build_recipe_dataset(
    recipe: "DatasetRecipe",
    output: Path,
    catalog: str,
    *,
    home: "FactoryHome",
    batch_size: int | None = None,
    workers: int | None = None,
    as_json: bool = False,
) -> None:
    """Build the dataset of a recipe with a progress line, then print its summary.

    Args:
        recipe: of the dataset.
        output: where it is written.
        catalog: of its imagery.
        home: the factory home that knows the build.
        batch_size: samples that are extracted together; None keeps the recipe's.
        workers: batches that are extracted at a time; None takes the number of cores.
        as_json: whether the summary is printed as JSON.
    """
    from factory_pipeline.config.dataset_settings import DatasetSettings
    from factory_pipeline.runs.dataset_build import build_recipe
    from factory_pipeline.sdk.progress_bar import BuildLine

    if batch_size is not None:
        recipe = recipe.model_copy(update={"batch_size": batch_size})
    settings = DatasetSettings(
        recipe=recipe,
        output=output.absolute(),
        catalog=make_absolute(catalog) if Path(catalog).exists() else catalog,
        workers=workers or processor_count(),
    )
    with BuildLine() as line:
        summary = build_recipe(home, settings, line.show_build)
    if as_json:
        echo_json(asdict(summary))
    else:
        echo_block(summary)


def fuse_batches(folder: Path, output: Path, as_json: bool) -> None:
    """Fuse the batch files of a folder, split by split as their names say.

    Args:
        folder: of batch files whose names contain their split.
        output: folder of the fused files, `<split>_dataset.h5`.
        as_json: print the counts as JSON instead of text.
    """
    from factory_pipeline.builds.summary import fuse_folder

    fused = fuse_folder(folder, output)
    if as_json:
        echo_json({"samples": fused, "files": {split: output / f"{split}_dataset.h5" for split in fused}})
        return
    for split, samples in fused.items():
        echo(f"{split}: {count_noun(samples, 'sample')} in {output / f'{split}_dataset.h5'}")


def _keep_given(**paths: Path | None) -> dict[str, Path]:
    return {split: path.absolute() for split, path in paths.items() if path is not None}


ALL: list[click.Command] = [create_dataset, check_recipe]
