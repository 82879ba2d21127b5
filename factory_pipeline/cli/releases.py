"""Commands of releases. Heavy imports stand inside the commands, as in `main`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory_pipeline.cli.dataset import open_client
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.own_process import import_runs
from factory_pipeline.cli.terminal import echo, echo_block

if TYPE_CHECKING:
    from factory_pipeline.storage.layout import FactoryHome

COORDINATES = click.Choice(["geographic", "pixel"])


@click.command()
@click.argument("version_id", metavar="VERSION")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The archive to write, such as forests.tar.gz.",
)
@click.option(
    "--label-coordinates",
    type=COORDINATES,
    default="geographic",
    show_default=True,
    help="Of labels on georeferenced images; pixel is what pyveda's readers expect.",
)
@click.option("--address", metavar="URL", help="A Dagster web server; without it, this machine's factory.")
@json_option
def release(
    version_id: str, output: Path, label_coordinates: str, address: str | None, as_json: bool
) -> None:
    """Write a dataset version as a release: a tar.gz of GeoTIFF images and GeoJSON labels.

    VERSION is an id, NAME@1.0.0, or a dataset's name for its latest version.
    """
    written = open_client(address).download_release(version_id, output.absolute(), label_coordinates)
    if as_json:
        echo_json({"archive": written, "label_coordinates": label_coordinates})
    else:
        echo(written)


@click.command("import-release")
@click.argument("url")
@click.option("--name", help="Of the collection.  [default: the name in meta.json, or of the archive]")
@click.option(
    "--mltype",
    type=click.Choice(["classification", "segmentation", "object_detection", "regression"]),
    help="What labels are for, where meta.json does not say.  [default: inferred from the labels]",
)
@click.option(
    "--label-coordinates", type=COORDINATES, help="What the coordinates of labels are.  [default: found out]"
)
@click.option("--skip-invalid", is_flag=True, help="Import without the pairs that can't be read.")
@json_option
def import_release(
    url: str,
    name: str | None,
    mltype: str | None,
    label_coordinates: str | None,
    skip_invalid: bool,
    as_json: bool,
) -> None:
    """Import a release (tar.gz of images and GeoJSON labels) as a collection of the data lake.

    URL is an address or a file. The report says what was found and decided.
    """
    import_runs()
    from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
    from factory_pipeline.runs.releases import import_release as run
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    home.require_folder()
    options = ReleaseOptions.of(name, mltype, label_coordinates, skip_invalid=skip_invalid)
    report = run(url if "://" in url else str(Path(url).absolute()), home, options)
    if as_json:
        echo_json(report.to_json())
    else:
        echo_block(report)


def import_and_export(archives: Path, output: Path, home: "FactoryHome") -> None:
    """Import the polygons of the sample's releases, create a dataset of them, and write it as a release.

    Args:
        archives: folder of the sample's releases; made if it is missing.
        output: folder that gets `cover-polygons-1.0.0.tar.gz`.
        home: that gets the collection and the dataset.
    """
    from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates
    from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
    from factory_pipeline.runs.releases import import_release as run
    from factory_pipeline.sdk.client import DatasetClient
    from factory_pipeline.synthetic.archive import DEFAULT_SEED
    from factory_pipeline.synthetic.releases import make_releases

    if not archives.exists():
        # The sample archive is that of a version before releases.
        make_releases(archives, DEFAULT_SEED)
    echo("", "Importing a release, and writing a dataset of it as one:")
    # Near 15 degrees east and 48 north, degrees could be pixels too.
    options = ReleaseOptions(label_coordinates=LabelCoordinates.GEOGRAPHIC)
    report = run(str(archives / "sample-cover-polygons-1.0.0.tar.gz"), home, options)
    echo_block(report)
    client = DatasetClient(home=home.root)
    name = "Cover polygons"
    if name not in {dataset.name for dataset in client.list_datasets()}:
        shares = {"train": 60, "test": 20, "validation": 20}
        client.create_dataset_from_collection(name, report.name, shares, [], use_given_splits=True)
    echo(f"Release: {client.download_release(name, output / 'cover-polygons-1.0.0.tar.gz')}")


ALL = [release, import_release]
