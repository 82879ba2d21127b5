"""`factory inspect`: what a dataset file contains. Heavy imports are inside the command, as in `main`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.paths import PATH
from factory_pipeline.cli.terminal import echo, echo_block


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--sheet", type=PATH, metavar="PNG", help="Where the sheet of chips is drawn.  [default: FILE.png]"
)
@click.option(
    "--samples", type=click.IntRange(1, 64), default=8, show_default=True, help="Rows of the sheet."
)
@json_option
def inspect(file: Path, sheet: Path | None, samples: int, as_json: bool) -> None:
    """Print what a dataset file contains and draw a sheet of its chips."""
    from factory_pipeline.hdf5.describe_recipe import describe_recipe_file, is_recipe_file
    from factory_pipeline.hdf5.preview import chip_sheet
    from factory_pipeline.hdf5.read import describe
    from factory_pipeline.hdf5.recipe_preview import recipe_sheet
    from factory_pipeline.storage.atomic import atomic_write

    target = sheet or file.with_suffix(".png")
    if not target.parent.is_dir():
        raise click.BadParameter(f"there is no folder {target.parent}.", param_hint="--sheet")
    is_recipe = is_recipe_file(file)
    summary = describe_recipe_file(file) if is_recipe else describe(file)
    drawn = target if summary.samples else None
    if as_json:
        echo_json({**asdict(summary), "recipe": json.loads(summary.recipe), "sheet": drawn})
    else:
        echo_block(summary)
    if drawn is not None:
        with atomic_write(target) as temporary:
            temporary.write_bytes((recipe_sheet if is_recipe else chip_sheet)(file, samples=samples))
    if not as_json:
        echo(f"Sheet of chips: {drawn or 'none, as the dataset contains no samples.'}")


ALL: list[click.Command] = [inspect]
