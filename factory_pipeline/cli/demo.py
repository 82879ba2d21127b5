"""The sample archive and the demo. Heavy imports are inside the commands, as in `main`."""

import contextlib
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory_pipeline.cli import onboarding, pairs_demo, recipes, releases
from factory_pipeline.cli.build import build_recipe_dataset, run_build
from factory_pipeline.cli.own_process import import_for_workers
from factory_pipeline.cli.paths import FOLDER, PATH, shorten
from factory_pipeline.cli.terminal import echo, echo_block
from factory_pipeline.processors import processor_count

if TYPE_CHECKING:
    from factory_pipeline.config.gedi_products import ProductName
    from factory_pipeline.storage.layout import FactoryHome


@click.command()
@click.option("--output", type=PATH, required=True, metavar="DIR", help="Where the archive is, or is made.")
@click.option(
    "--granules", type=FOLDER, metavar="DIR", help="Make imagery around these granules' footprints."
)
@click.option(
    "--gedi-product",
    "products",
    type=click.Choice(["L2A", "L2B", "L4C"]),
    multiple=True,
    help="Also make granules of this product, of the same shots as L4A's; may be given several times.",
)
@click.option("--volume", is_flag=True, help="Make a volume of sections instead, in DIR/volume.")
@click.option(
    "--dataset",
    type=click.Choice(["crops", "burn-scars", "canopy"]),
    help="Make imagery, labels and the recipe of another dataset than GEDI's.",
)
@click.option("--serve", is_flag=True, help="Serve it: HTTP with range requests and a STAC API on loopback.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
def sample(
    output: Path,
    granules: Path | None,
    products: "tuple[ProductName, ...]",
    volume: bool,
    dataset: str | None,
    serve: bool,
    port: int,
) -> None:
    """Make a sample archive: granules, Sentinel-2, CopDEM and WorldCover rasters, a STAC catalog.

    With --dataset: crop type by points, with a year of Sentinel-2 and Sentinel-1; burn scars by polygons,
    with HLS; canopy height by rasters, with Landsat and NAIP. A volume has sections that are displaced in
    known ways, for image pairs and fields.
    """
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.synthetic.archive import make_archive

    if volume:
        if granules is not None or products or serve or dataset is not None:
            raise click.UsageError(
                "--volume makes only a volume; remove --granules, --gedi-product, --dataset and --serve."
            )
        pairs_demo.make_sample_volume(output)
        return
    exists = (output / "stac" / "catalog.json").exists()
    if exists and products and dataset is None:
        raise click.UsageError(f"{output} has an archive; --gedi-product is for a new one.")
    if dataset is not None:
        if granules is not None or products:
            raise click.UsageError(
                "--granules and --gedi-product go with the GEDI dataset; remove --dataset."
            )
        recipes.make_sample(dataset, output)
    elif not exists:
        with ProgressLine() as line:
            echo_block(make_archive(output, granules=granules, gedi_products=products, on_progress=line.show))
    if serve:
        from factory_pipeline.synthetic.server import serve as serve_archive

        # Ctrl-C is the way to end a server, not an interruption.
        with contextlib.suppress(KeyboardInterrupt):
            serve_archive(output, port, lambda url: echo(f"STAC API: {url}/stac  (Ctrl-C ends it)"))


@click.command()
@click.argument("subject", type=click.Choice(["gedi", "pairs"]), default="gedi")
@click.option("--output", type=PATH, default=Path("demo"), show_default=True, metavar="DIR")
def demo(subject: str, output: Path) -> None:
    """Make the sample archive, build and onboard a dataset from it, and onboard its uploads.

    With `pairs`: make a sample volume, cut image pairs out of it, and align them from coarse to fine.
    """
    if subject == "pairs":
        pairs_demo.demo_pairs(output)
        return
    import_for_workers()
    from factory_pipeline.config.build_settings import BuildSettings
    from factory_pipeline.config.recipe import Recipe
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.storage.layout import FactoryHome
    from factory_pipeline.storage.slug import slug
    from factory_pipeline.synthetic.archive import make_archive

    archive = output.absolute() / "sample"
    if not (archive / "stac" / "catalog.json").exists():
        with ProgressLine() as line:
            echo_block(make_archive(archive, on_progress=line.show))
    home = FactoryHome(output.absolute() / "factory_home")
    settings = BuildSettings(
        granules=str(archive / "granules"),
        output=output.absolute() / "output",
        # Read from disk: a server's address would be another one the next time, and another catalog.
        catalog=str(archive / "stac"),
        recipe=Recipe(batch_size=100),
        workers=processor_count(),
        onboard=True,
    )
    run_build(home, settings)
    echo("", "Onboarding the dataset and two sample uploads.")
    uploads = sorted((archive / "uploads").glob("*.yaml"))
    for manifest in (home.dropped_manifest(slug(settings.recipe.name)), *uploads):
        onboarding.onboard_and_show(manifest, home)
    _build_burn_scars(output.absolute(), home)
    releases.import_and_export(archive / "releases", output.absolute(), home)
    if shutil.which("factory") is None:
        echo(f'To type factory anywhere: export PATH="{Path(sys.executable).parent}:$PATH"')
    echo("", *next_steps(home.root, settings.files.fused("train")))


def next_steps(home: Path, dataset: Path) -> tuple[str, ...]:
    """Return what to type after the demo, a line each.

    Args:
        home: of the demo, which other commands know by FACTORY_HOME alone.
        dataset: one of its files.
    """
    return (
        f"Its factory:  export FACTORY_HOME={shlex.quote(str(home.absolute()))}",
        "Look at it:   factory ui   opens the studio at http://127.0.0.1:3001 (in a checkout: make ui)",
        f"or            factory inspect {shlex.quote(shorten(dataset))}",
    )


def _build_burn_scars(output: Path, home: "FactoryHome") -> None:
    """Build a dataset that is not of GEDI: its sample's labels, imagery and recipe."""
    from factory_pipeline.config.dataset_recipe import DatasetRecipe

    echo("", "Building a dataset of other labels and imagery, by its recipe.")
    sample = output / "burn-scars"
    recipes.make_sample("burn-scars", sample)
    recipe = DatasetRecipe.load(sample / "burn-scars.yaml")
    build_recipe_dataset(recipe, output / "burn-scars-dataset", str(sample), home=home, workers=1)


ALL: list[click.Command] = [sample, demo]
