"""Commands that write recipes. Heavy imports are inside the commands, as in `main`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.paths import PATH
from factory_pipeline.cli.terminal import confirm, echo, echo_block

if TYPE_CHECKING:
    from factory_pipeline.synthetic.samples.make import DatasetSample


class EpsgCode(click.ParamType):
    """A number such as 32633, or EPSG:32633."""

    name = "EPSG"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        Args:
            value: as it was typed.
            param: that it is of.
            ctx: of the command.
        """
        from factory_pipeline.config.epsg import parse_epsg

        try:
            return parse_epsg(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)


@click.command("new-recipe")
@click.option("--labels", type=PATH, metavar="PATH", help="A file of points or polygons, or of rasters.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="COLLECTION[:ASSETS]",
    help="A known collection or the file of one, such as sentinel-1-rtc:vv,vh; can be given several times.",
)
@click.option("--name", help="Of the dataset.  [default: that of the label file]")
@click.option("--id", "id_column", metavar="COLUMN", help="Names a label.  [default: one without doubles]")
@click.option("--time", "times", metavar="COLUMN[,COLUMN]", help="When a label holds, or its start and end.")
@click.option("--between", nargs=2, metavar="DAY DAY", help="Of the imagery, where labels have no time.")
@click.option("--target", metavar="COLUMN", help="What a model learns.  [default: the first classes]")
@click.option("--unit", default="", help="Of a target that is a number.")
@click.option("--size", type=click.IntRange(min=1), default=64, show_default=True, help="Pixels a side.")
@click.option("--pixel-size", type=float, help="In metres.  [default: that of the first source]")
@click.option("--layer", help="Of a file with several.  [default: the first]")
@click.option("--x", metavar="COLUMN", help="With eastings or longitudes.")
@click.option("--y", metavar="COLUMN", help="With northings or latitudes.")
@click.option("--crs", type=EpsgCode(), help="Of the coordinates, where the file does not state it.")
@click.option("--output", type=PATH, metavar="FILE", help="[default: NAME.yaml in this folder]")
@click.option("--force", is_flag=True, help="Overwrite a recipe that exists.")
def new_recipe(
    labels: Path | None, sources: tuple[str, ...], output: Path | None, force: bool, **given: Any
) -> None:
    """Write the recipe of a dataset, prefilled from a file of labels and what is known of the collections.

    With --labels and --source nothing is asked; else what is missing is, and each answer is proposed.
    """
    from factory_pipeline.builds.suggest_recipe import suggest_recipe
    from factory_pipeline.cli.recipe_prompt import ask_choices, choices_of, describe, look_into
    from factory_pipeline.storage.atomic import write_text

    ask = labels is None or not sources
    path, found, given = look_into(labels, given, ask=ask)
    echo(*describe(found))
    choices = ask_choices(path, found, sources, given) if ask else choices_of(path, found, sources, given)
    target = output or Path(f"{choices.name}.yaml")
    document = suggest_recipe(path, found, choices, target.parent)
    if target.exists() and not force:
        if not ask:
            raise click.UsageError(f"{target} already exists; overwrite it by --force.")
        if not confirm(f"{target} already exists; overwrite it?"):
            echo("Nothing was written.")
            return
    write_text(target, recipe_text(document))
    if "test" not in document["splits"] and document["splits"]["by"] == "random":
        echo(
            "The windows of all labels overlap each other, so that all train; smaller ones could be divided."
        )
    echo(f"Written: {target}", f"Next:    factory check-recipe {target} --catalog CATALOG")


def recipe_text(document: dict[str, Any]) -> str:
    """Return a recipe as YAML: sections below each other, short lists and mappings in one line."""
    import yaml

    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)


def make_sample(dataset: str, output: Path) -> "DatasetSample | None":
    """Make the sample of a dataset in a folder; one that exists is left as it is, and None is returned.

    Args:
        dataset: name of a sample, such as `crops`.
        output: folder that gets the archive, the labels and the recipe.

    Raises:
        click.UsageError: the folder has another archive.
    """
    from factory_pipeline.synthetic.samples.make import make_dataset_sample

    recipe = output / f"{dataset}.yaml"
    if (output / "stac" / "catalog.json").exists():
        if not recipe.exists():
            raise click.UsageError(f"{output} has another archive; name another folder by --output.")
        return None
    sample = make_dataset_sample(dataset, output)
    echo_block(sample)
    echo(f"Build it: factory create-dataset --recipe {recipe} --catalog {output} --output DIR")
    return sample


ALL: list[click.Command] = [new_recipe]
