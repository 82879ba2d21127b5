"""The command line. Heavy imports stand inside the commands, so that `factory --help` answers at once."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory_pipeline.cli import dataset, onboarding, verify
from factory_pipeline.cli.help import FullHelpGroup, Section
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import echo, echo_block
from factory_pipeline.errors import ArgumentError, FactoryError, OnboardingError, describe_os_error
from factory_pipeline.extras import extras_named
from factory_pipeline.version import __version__

if TYPE_CHECKING:
    from factory_pipeline.config.build_settings import BuildSettings, Modality
    from factory_pipeline.storage.layout import FactoryHome

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)
MOST_SAID = 300
"""Characters of an unexpected error that are printed; its file has all of them."""


SECTIONS: Sequence[Section] = [
    ("Get started", ["demo", "ui", "sample", "completion"]),
    ("GEDI datasets", ["create-dataset", "inspect", "verify"]),
    ("Uploads", ["new-manifest", "prescan", "onboard", "upload", "finetune"]),
    ("Data lake", ["collection"]),
    ("Datasets of your own, in versions", ["dataset"]),
]
OLD_NAMES = {
    "datasets": ["upload", "list"],
    "show": ["upload", "show"],
    "logs": ["upload", "logs"],
    "delete": ["upload", "delete"],
    "collections": ["collection", "list"],
    "annotate": ["collection", "annotate"],
    "delete-collection": ["collection", "delete"],
}
"""Commands by the names that they had before they came into groups."""


@click.group(
    cls=FullHelpGroup,
    sections=SECTIONS,
    aliases=OLD_NAMES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="factory")
def cli() -> None:
    """The dataset factory: from raw Earth observation to training-ready datasets."""


@cli.command("create-dataset")
@click.option(
    "--input", "granules", metavar="DIR", help="Folder or object-store prefix with GEDI L4A granules."
)
@click.option("--output", type=PATH, required=True, metavar="DIR", help="Where the dataset is written.")
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
    help="Batches worked on at the same time.  [default: the number of cores]",
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
    """Make train_dataset.h5 and test_dataset.h5 from GEDI granules.

    A CSV given by --path-aggregated-csv-* or --path-subset-csv-* replaces the stages before it for its split.
    Can be interrupted: the same command goes on where it stopped.
    """
    from factory_pipeline.config.build_settings import BuildSettings
    from factory_pipeline.config.recipe import Recipe
    from factory_pipeline.storage.layout import FactoryHome
    from factory_pipeline.storage.slug import slug

    if fuse_folder is not None:
        if onboard:
            raise click.UsageError("--onboard needs a whole build; leave --fuse-hdf5-datasets out.")
        fuse_folder_into(fuse_folder, output, as_json)
        return
    aggregated = _given(train=path_aggregated_csv_train, test=path_aggregated_csv_test)
    subset = _given(train=path_subset_csv_train, test=path_subset_csv_test)
    definition = (Recipe.load(recipe) if recipe else Recipe()).with_sizes(dataset_size_max, batch_size)
    if granules is None and definition.splits.keys() - aggregated.keys() - subset.keys():
        raise click.UsageError("Name the folder with the granules by --input.")
    settings = BuildSettings(
        granules=_absolute(granules or ""),
        output=output.absolute(),
        catalog=_absolute(catalog) if Path(catalog).exists() else catalog,
        recipe=definition,
        workers=num_processors or os.cpu_count() or 1,
        aggregated_csv=aggregated,
        subset_csv=subset,
        plot_distribution=plot_distribution,
        onboard=onboard,
        onboard_modalities=tuple(dict.fromkeys(modalities)),
    )
    home = FactoryHome.from_environment()
    home.require_folder()
    build(home, settings.with_tuning_of(home), as_json)
    if onboard:
        onboarding.onboard_and_tell(home.dropped_manifest(slug(definition.name)), home, quiet=as_json)


@cli.command()
@click.argument("file", type=FILE)
@click.option(
    "--sheet", type=PATH, metavar="PNG", help="Where the sheet of chips is drawn.  [default: FILE.png]"
)
@click.option(
    "--samples", type=click.IntRange(1, 64), default=8, show_default=True, help="Rows of the sheet."
)
@json_option
def inspect(file: Path, sheet: Path | None, samples: int, as_json: bool) -> None:
    """Print what a dataset file holds and draw a sheet of its chips."""
    from factory_pipeline.hdf5.preview import chip_sheet
    from factory_pipeline.hdf5.read import describe
    from factory_pipeline.storage.atomic import atomic_write

    target = sheet or file.with_suffix(".png")
    if not target.parent.is_dir():
        raise click.BadParameter(f"there is no folder {target.parent}.", param_hint="--sheet")
    summary = describe(file)
    drawn = target if summary.samples else None
    if as_json:
        echo_json({**asdict(summary), "recipe": json.loads(summary.recipe), "sheet": drawn})
    else:
        echo_block(summary)
    if drawn is not None:
        with atomic_write(target) as temporary:
            temporary.write_bytes(chip_sheet(file, samples=samples))
    if not as_json:
        echo(f"Sheet of chips: {drawn or 'none, as the dataset holds no samples.'}")


@cli.command()
@click.option("--output", type=PATH, required=True, metavar="DIR", help="Where the archive is, or is made.")
@click.option(
    "--granules", type=FOLDER, metavar="DIR", help="Make imagery around these granules' footprints."
)
@click.option("--serve", is_flag=True, help="Serve it: HTTP with range requests and a STAC API on loopback.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
def sample(output: Path, granules: Path | None, serve: bool, port: int) -> None:
    """Make a sample archive: granules, Sentinel-2, CopDEM and WorldCover rasters, a STAC catalog."""
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.synthetic.archive import make_archive

    if not (output / "stac" / "catalog.json").exists():
        with ProgressLine() as line:
            echo_block(make_archive(output, granules=granules, on_progress=line.show))
    if serve:
        from factory_pipeline.synthetic.server import serve as serve_archive

        # Ctrl-C is the way to end a server, not an interruption.
        with contextlib.suppress(KeyboardInterrupt):
            serve_archive(output, port, lambda url: echo(f"STAC API: {url}/stac  (Ctrl-C ends it)"))


@cli.command()
@click.option("--output", type=PATH, default=Path("demo"), show_default=True, metavar="DIR")
def demo(output: Path) -> None:
    """Make the sample archive, build and onboard a dataset from it, and onboard its uploads."""
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
        workers=os.cpu_count() or 1,
        onboard=True,
    )
    build(home, settings)
    onboarding.drop_and_wait(archive / "uploads", home, [slug(settings.recipe.name)])
    if shutil.which("factory") is None:
        echo(f'To type factory anywhere: export PATH="{Path(sys.executable).parent}:$PATH"')
    echo("", "Look at it:  make ui   or   factory inspect " + _short(settings.files.fused("train")))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option("--port", type=click.IntRange(1, 65534), default=3000, show_default=True, help="Of the web UI.")
@click.option(
    "--pages-port",
    type=click.IntRange(1, 65535),
    help="Of the dataset pages.  [default: the next port after --port]",
)
def ui(host: str, port: int, pages_port: int | None) -> None:
    """Open the web UI on FACTORY_HOME (default ./factory_home), with sensors and schedules running."""
    from factory_pipeline.storage.layout import FactoryHome
    from factory_pipeline.web.ui import WebUi

    served = WebUi(FactoryHome.from_environment(), host, port, pages_port or port + 1)
    served.prepare()
    echo(f"Factory home: {served.home.root}", f"Log: {served.log}")
    echo(*_watched(served.home), "Starting the web UI ...")
    served.serve(lambda: echo(f"Ready: {served.url}  (dataset pages: {served.pages_url}; Ctrl-C ends it)"))
    echo("The web UI has ended.")


def _watched(home: "FactoryHome") -> list[str]:
    """Say where what is dropped is noticed, or why that is not known."""
    from factory_pipeline.builds.footprint_stages import watched
    from factory_pipeline.config.build_settings import BuildSettings
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.errors import FactoryError
    from factory_pipeline.redaction import display

    try:
        granules = watched(BuildSettings.load(home))
        uploads = ", ".join(map(display, IntakePolicy.of_home(home).inboxes(home)))
        return [f"Watched for granules: {granules}", f"Watched for uploads:  {uploads}"]
    except FactoryError as error:
        return [str(error)]


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete the commands and options of factory.

    For bash: add `eval "$(factory completion bash)"` to ~/.bashrc; zsh likewise, in ~/.zshrc. For fish:
    factory completion fish > ~/.config/fish/completions/factory.fish
    """
    from click.shell_completion import get_completion_class

    shown = get_completion_class(shell)
    assert shown is not None
    # A script, of which every character counts.
    click.echo(shown(cli, {}, "factory", "_FACTORY_COMPLETE").source())  # noqa: TID251


def build(home: "FactoryHome", settings: "BuildSettings", as_json: bool = False) -> None:
    """Run a build with a progress line, then print its summary."""
    from factory_pipeline.runs.build import run_build
    from factory_pipeline.sdk.progress_bar import BuildLine

    with BuildLine() as line:
        summary = run_build(home, settings, line.show_build)
    if as_json:
        echo_json({**asdict(summary), "extraction_yield": round(summary.extraction_yield, 4)})
    else:
        echo_block(summary)


def fuse_folder_into(folder: Path, output: Path, as_json: bool) -> None:
    """Fuse the batch files of a folder, split by split as their names say."""
    from factory_pipeline.builds.summary import fuse_folder

    fused = fuse_folder(folder, output)
    if as_json:
        echo_json({"samples": fused, "files": {split: output / f"{split}_dataset.h5" for split in fused}})
        return
    for split, samples in fused.items():
        echo(f"{split}: {samples} samples in {output / f'{split}_dataset.h5'}")


for command in [*onboarding.ALL, *dataset.ALL, *verify.ALL]:
    cli.add_command(command)


def _given(**paths: Path | None) -> dict[str, Path]:
    return {split: path.absolute() for split, path in paths.items() if path is not None}


def _absolute(source: str) -> str:
    """Local paths are kept absolute: the web UI may run in another folder."""
    return source if not source or "://" in source else str(Path(source).absolute())


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


INTERRUPTED = "Interrupted. Finished batches stay; run the command again to go on."
"""What Ctrl-C leaves: every stage publishes what it has finished, and finds it again."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what a user can mend is told in one sentence, without a traceback."""
    try:
        with extras_named():
            cli.main(args=arguments, prog_name="factory", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OnboardingError as error:
        echo(f"Error: {error} [{error.code}]", err=True)
        sys.exit(1)
    except ArgumentError as error:
        echo(f"Error: {dataset.describe_argument_error(error)}", err=True)
        sys.exit(1)
    except FactoryError as error:
        echo(f"Error: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has gone, such as `head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        echo(f"Error: {describe_os_error(error)}", err=True)
        sys.exit(1)
    except click.Abort as abort:
        # click makes of Ctrl-C the same as of a question that is left open, but keeps the cause.
        interrupted = isinstance(abort.__cause__, KeyboardInterrupt)
        echo("", INTERRUPTED if interrupted else "Nothing was done: the question was not answered.", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        echo("", INTERRUPTED, err=True)
        sys.exit(130)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_SAID]}"
        log = _written_traceback()
        echo(f"Error: this was not expected: {said}; {log} has all of it, please report it.", err=True)
        sys.exit(1)


def _written_traceback() -> Path:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="factory-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return Path(file.name)
