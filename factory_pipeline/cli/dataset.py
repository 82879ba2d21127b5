"""Commands of `factory dataset`: the SDK's calls from the command line."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.help import FullHelpGroup
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.paths import PATH
from factory_pipeline.cli.request_options import request_arguments, request_options
from factory_pipeline.cli.terminal import confirm, echo, echo_block

if TYPE_CHECKING:
    from factory_pipeline.sdk.client import DatasetClient


@click.group(cls=FullHelpGroup)
@click.option("--address", metavar="URL", help="A Dagster web server; without it, this machine's factory.")
@click.pass_context
def dataset(context: click.Context, address: str | None) -> None:
    """Datasets from the data lake: make, extend, compare, download."""
    context.obj = address


@dataset.command()
@click.argument("name")
@request_options
@json_option
@click.pass_obj
def create(address: str | None, name: str, as_json: bool, **options: Any) -> None:
    """Make the dataset NAME; its first version is 1.0.0."""
    _make(address, {"dataset_name": name, **request_arguments(options)}, as_json)


@dataset.command()
@click.argument("version_id")
@click.option("--new-version", is_flag=True, help="Make a new version (1.1.0), not a revision (1.0.1).")
@click.option("--datalake", is_flag=True, help="Items of all collections.")
@click.option(
    "--divide-anew", is_flag=True, help="Assign all splits again; no item keeps the split that it had."
)
@request_options
@json_option
@click.pass_obj
def update(
    address: str | None,
    version_id: str,
    new_version: bool,
    datalake: bool,
    divide_anew: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Extend a version: its next revision, or a new version.

    VERSION_ID is an id, NAME@1.0.0, or a dataset's name for its latest version. Items are taken from the
    collections that the version has items of, unless --collection or --datalake says otherwise.
    """
    is_of_one = options["collection_id"] is not None
    if datalake and is_of_one:
        raise click.UsageError("--datalake and --collection exclude each other.")
    arguments = {
        "dataset_version_id": version_id,
        **request_arguments(options),
        "is_new_version_required": new_version,
        "keep_splits": not divide_anew,
        "within_source": not datalake and not is_of_one,
    }
    _make(address, arguments, as_json)


@dataset.command("list")
@json_option
@click.pass_obj
def list_(address: str | None, as_json: bool) -> None:
    """List datasets with their versions."""
    found = open_client(address).list_datasets()
    if as_json:
        echo_json(found)
        return
    echo_factory(address)
    echo_block("\n".join(map(str, found)) or "No dataset yet: factory dataset create NAME")


@dataset.command()
@click.argument("version_or_dataset")
@json_option
@click.pass_obj
def show(address: str | None, version_or_dataset: str, as_json: bool) -> None:
    """Describe a version, or list the versions of a dataset; NAME@1.0.0 is a version."""
    from factory_pipeline.errors import FactoryError

    client, show_summary = open_client(address), echo_json if as_json else echo_block
    try:
        show_summary(client.describe_dataset(version_or_dataset))
    except FactoryError:
        show_summary(client.describe_version(version_or_dataset))


@dataset.command()
@click.argument("version_id")
@click.argument("other_version_id")
@json_option
@click.pass_obj
def diff(address: str | None, version_id: str, other_version_id: str, as_json: bool) -> None:
    """Show what changed from one version to the other."""
    (echo_json if as_json else echo_block)(
        open_client(address).compare_versions(version_id, other_version_id)
    )


@dataset.command()
@click.argument("version_id")
@click.argument("export_type")
@click.option("--output", type=PATH, metavar="DIR", help="[default: DATASET-VERSION-EXPORT_TYPE here]")
@click.option("--no-media", is_flag=True, help="Annotations without images.")
@json_option
@click.pass_obj
def download(
    address: str | None,
    version_id: str,
    export_type: str,
    output: Path | None,
    no_media: bool,
    as_json: bool,
) -> None:
    """Download a version in a format.

    VERSION_ID is an id, NAME@1.0.0, or a dataset's name for its latest version. EXPORT_TYPE is RAW, "YOLO
    Darknet", "Semantic Segmentation", COCO, TerraTorch, Croissant, HDF5, Parquet, WebDataset, HF, Zarr,
    LitData, Release or "Release Pixels". A download that was truncated goes on with the same command.
    """
    target = output.absolute() if output else ""
    folder = open_client(address).download_dataset(version_id, export_type, target, not no_media)
    if as_json:
        echo_json({"folder": folder, "export_type": export_type, "media": not no_media})
    else:
        echo(folder)


@dataset.command()
@click.argument("version_id")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def delete(address: str | None, version_id: str, yes: bool) -> None:
    """Delete a version with its exports; name it by its id or as NAME@1.0.0."""
    client = open_client(address)
    version = client.describe_version(version_id)
    named = f"{version.dataset} {version.number}"
    if not yes and not confirm(f"Delete {named} with all its exports?"):
        echo("Nothing was deleted.")
        return
    client.delete_version(version_id)
    echo(f"{named} was deleted.")


def open_client(address: str | None) -> "DatasetClient":
    """Return a client of the factory at an address, or of this machine's without one."""
    # What is imported stays: looking for garbage in it takes a tenth of the time of a short command.
    gc.disable()
    try:
        from factory_pipeline.sdk.client import DatasetClient

        return DatasetClient(address)
    finally:
        gc.enable()


def _make(address: str | None, arguments: dict[str, Any], as_json: bool) -> None:
    """Make the version of a request and print it."""
    from factory_pipeline.datasets.request import DatasetRequest

    client = open_client(address)
    made = client.make_version(DatasetRequest.of(**arguments))
    version = client.describe_version(made.version_id)
    if as_json:
        echo_json({**version.model_dump(), "division": made.division.as_json()})
        return
    echo(f"Dataset  {made.dataset_id}")
    echo_block(version)
    if made.division.had_split:
        echo(f"Split    {made.division}")
    for note in made.division.notes[1:]:
        echo(f"Note     {note}")


def echo_factory(address: str | None) -> None:
    """Print on standard error which factory a listing is of."""
    from factory_pipeline.storage.layout import FactoryHome

    echo(f"Factory: {address or FactoryHome.from_environment().root}", err=True)
