"""Commands of `factory dataset`: the SDK's calls from the command line."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.help import FullHelpGroup
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import confirm, echo, echo_block

if TYPE_CHECKING:
    from factory_pipeline.errors import ArgumentError
    from factory_pipeline.sdk.backend import Created
    from factory_pipeline.sdk.client import DatasetClient

PATH = click.Path(path_type=Path)
Command = Callable[..., Any]

_MAKING: list[Callable[[Command], Command]] = [
    click.option(
        "--label",
        "labels",
        multiple=True,
        required=True,
        metavar="L",
        help="A label of the dataset; give it several times, in the order of its classes.",
    ),
    click.option(
        "--split",
        default="train=60,test=20,validation=20",
        show_default=True,
        metavar="P",
        help="Percentages of the items, each from 0 to 100, the sum 100.",
    ),
    click.option("--collection", metavar="NAME", help="Take items of this collection only; its name or id."),
    click.option(
        "--item-type",
        type=click.Choice(["image", "image_collection", "dataset"]),
        default="image",
        show_default=True,
        help="What the query chooses: images, or all images of collections or datasets.",
    ),
    click.option(
        "--query",
        default="",
        metavar="Q",
        help="Condition on items, such as annotation.label=Balloon, or CQL2.  [default: all items]",
    ),
    click.option("--from-date", metavar="DATE", help="Items of this day or moment, or later."),
    click.option("--to-date", metavar="DATE", help="Items of this day or moment, or earlier."),
    click.option(
        "--bbox", metavar="W,S,E,N", help="Items that touch this box: west, south, east, north in degrees."
    ),
    click.option(
        "--annotations",
        "annotation_types",
        multiple=True,
        type=click.Choice(["raw", "human", "machine"]),
        help="Items annotated by people or by a model; raw are those without annotations.",
    ),
    click.option(
        "--operation",
        "operations",
        multiple=True,
        metavar="ID",
        help="Annotations of this operation only; see factory collection list.  [default: all]",
    ),
    click.option("--no-annotations", is_flag=True, help="Take no annotations at all."),
    click.option(
        "--augment",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Augmentations of the train split (JSON, YAML); docs/augmentations.md has them.",
    ),
    click.option(
        "--export",
        "exports",
        multiple=True,
        metavar="FORMAT",
        help="Export the version in this format at once; see download. Give it several times.",
    ),
]


def _making(command: Command) -> Command:
    """The options that `create` and `update` share."""
    for option in reversed(_MAKING):
        command = option(command)
    return command


@click.group(cls=FullHelpGroup)
@click.option("--address", metavar="URL", help="A Dagster web server; without it, this machine's factory.")
@click.pass_context
def dataset(context: click.Context, address: str | None) -> None:
    """Datasets from the data lake: make, extend, compare, download."""
    context.obj = address


@dataset.command()
@click.argument("name")
@_making
@json_option
@click.pass_obj
def create(address: str | None, name: str, as_json: bool, **options: Any) -> None:
    """Make the dataset NAME; its first version is 1.0.0."""
    arguments = _arguments(options)
    client = _client(address)
    if options["collection"] is not None:
        made = client.create_dataset_from_collection(name, options["collection"], **arguments)
    else:
        made = client.create_dataset_from_datalake(name, item_type=options["item_type"], **arguments)
    _tell(client, made, as_json)


@dataset.command()
@click.argument("version_id")
@click.option("--new-version", is_flag=True, help="Make a new version (1.1.0), not a revision (1.0.1).")
@click.option("--datalake", is_flag=True, help="Items of all collections.")
@click.option(
    "--divide-anew", is_flag=True, help="Assign all splits again; no item keeps the split that it had."
)
@_making
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
    if datalake and options["collection"] is not None:
        raise click.UsageError("--datalake and --collection exclude each other.")
    if not datalake and options["item_type"] != "image":
        raise click.UsageError("--item-type is for the whole lake; give --datalake with it.")
    arguments = {
        **_arguments(options),
        "is_new_version_required": new_version,
        "keep_splits": not divide_anew,
    }
    client = _client(address)
    if datalake:
        made = client.update_dataset_version_from_datalake(
            version_id, item_type=options["item_type"], **arguments
        )
    else:
        made = client.update_dataset_version_from_collection(version_id, options["collection"], **arguments)
    _tell(client, made, as_json)


@dataset.command("list")
@json_option
@click.pass_obj
def list_(address: str | None, as_json: bool) -> None:
    """List datasets with their versions."""
    found = _client(address).list_datasets()
    if as_json:
        echo_json(found)
        return
    _tell_factory(address)
    echo_block("\n".join(map(str, found)) or "No dataset yet: factory dataset create NAME --label ...")


@dataset.command()
@click.argument("version_or_dataset")
@json_option
@click.pass_obj
def show(address: str | None, version_or_dataset: str, as_json: bool) -> None:
    """Say what a version holds, or which versions a dataset has; NAME@1.0.0 is a version."""
    from factory_pipeline.errors import FactoryError

    client, tell = _client(address), echo_json if as_json else echo_block
    try:
        tell(client.describe_dataset(version_or_dataset))
    except FactoryError:
        tell(client.describe_version(version_or_dataset))


@dataset.command()
@click.argument("version_id")
@click.argument("other_version_id")
@json_option
@click.pass_obj
def diff(address: str | None, version_id: str, other_version_id: str, as_json: bool) -> None:
    """Say what changed from one version to the other."""
    (echo_json if as_json else echo_block)(_client(address).compare_versions(version_id, other_version_id))


@dataset.command()
@click.argument("version_id")
@click.argument("export_type")
@click.option("--output", type=PATH, metavar="DIR", help="[default: DATASET-VERSION-EXPORT_TYPE here]")
@click.option("--no-media", is_flag=True, help="Annotations without images.")
@click.pass_obj
def download(
    address: str | None, version_id: str, export_type: str, output: Path | None, no_media: bool
) -> None:
    """Bring a version here in a format.

    VERSION_ID is an id, NAME@1.0.0, or a dataset's name for its latest version. EXPORT_TYPE is RAW,
    "YOLO Darknet", "Semantic Segmentation", COCO, TerraTorch, Croissant or HDF5. A download that was cut off
    goes on with the same command.
    """
    target = output.absolute() if output else ""
    echo(_client(address).download_dataset(version_id, export_type, target, not no_media))


@dataset.command()
@click.argument("version_id")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def delete(address: str | None, version_id: str, yes: bool) -> None:
    """Delete a version with its exports; name it by its id or as NAME@1.0.0."""
    client = _client(address)
    version = client.describe_version(version_id)
    named = f"{version.dataset} {version.number}"
    if not yes and not confirm(f"Delete {named} with all its exports?"):
        echo("Nothing was deleted.")
        return
    client.delete_version(version_id)
    echo(f"{named} was deleted.")


@click.group("collection", cls=FullHelpGroup)
def collection_group() -> None:
    """Collections of the data lake: what dataset versions are made of."""


@collection_group.command("list")
@click.option("--address", metavar="URL", help="A Dagster web server; without it, this machine's factory.")
@json_option
def collections(address: str | None, as_json: bool) -> None:
    """List the collections of the data lake with their annotation sources."""
    found = _client(address).list_collections()
    if as_json:
        echo_json(found)
        return
    _tell_factory(address)
    echo_block("\n".join(map(str, found)) or "No collection yet: onboard an upload or build a dataset.")


@collection_group.command()
@click.argument("collection_id")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--source", type=click.Choice(["human", "machine"]), required=True, help="Who annotated.")
@click.option(
    "--format", "form", type=click.Choice(["geojson", "coco", "masks"]), help="[default: by the file]"
)
@click.option(
    "--label-property", default="label", show_default=True, help="The property of GeoJSON features."
)
@click.option("--label-map", type=PATH, metavar="FILE", help="The label of each value of masks (JSON, YAML).")
@click.option("--name-ending", default="", metavar="E", help="What follows an item's name in a file's name.")
@click.option(
    "--match",
    metavar="REGEX",
    help="Finds the item's name in a file's name (its first group), such as '^[0-9a-f]{8}-(.+)$'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def annotate(
    collection_id: str,
    file: Path,
    source: str,
    form: str | None,
    label_property: str,
    label_map: Path | None,
    name_ending: str,
    match: str | None,
    as_json: bool,
) -> None:
    """Add annotations to the items of a collection: GeoJSON, COCO, or a folder of masks.

    Prints which images are items of the collection, and how many annotations were added and dropped, with the
    reasons.
    """
    from contextlib import closing

    from factory_pipeline.datalake.ingest.annotate import AnnotationFormat
    from factory_pipeline.datalake.ingest.annotate import annotate as add
    from factory_pipeline.datalake.registry.records import AnnotationSource
    from factory_pipeline.datasets.versions.find import find_collection
    from factory_pipeline.runs.onboarding import open_registry
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    home.require_existing()
    with closing(open_registry(home)) as registry:
        _, report = add(
            registry,
            home,
            find_collection(registry, collection_id).id,
            AnnotationSource(source),
            file,
            format=AnnotationFormat(form) if form else None,
            label_property=label_property,
            label_map=label_map,
            name_ending=name_ending,
            match=match,
        )
    echo_block(json.dumps(report.to_json(), indent=2) if as_json else report)


@collection_group.command("delete")
@click.argument("collection_id")
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete_collection(collection_id: str, yes: bool) -> None:
    """Delete a collection with its annotations; refused while a version of a dataset has its items."""
    from contextlib import closing

    from factory_pipeline.datalake.ingest.delete import delete_collection as remove
    from factory_pipeline.datasets.versions.find import find_collection
    from factory_pipeline.runs.onboarding import open_registry
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    home.require_existing()
    with closing(open_registry(home)) as registry:
        found = find_collection(registry, collection_id)
        name = found.name
        if not yes and not confirm(f"Delete the collection {name} with all its annotations?"):
            echo("Nothing was deleted.")
            return
        remove(registry, home, found.id)
    echo(f"The collection {name} was deleted.")


ALL = [dataset, collection_group]


AS_TYPED = {
    "dataset_name": "NAME",
    "dataset_version_id": "VERSION_ID",
    "version_id": "VERSION_ID",
    "other_version_id": "OTHER_VERSION_ID",
    "collection_id": "--collection",
    "split_info": "--split",
    "labels": "--label",
    "export_types": "--export",
    "export_type": "EXPORT_TYPE",
    "query": "--query",
    "item_type": "--item-type",
    "filter.annotation_types": "--annotations",
    "filter.from_date": "--from-date",
    "filter.to_date": "--to-date",
    "filter.bbox": "--bbox",
    "operation_list": "--operation",
    "augmentation_list": "--augment",
    "custom_download_path": "--output",
}
"""What a user types for the arguments of the SDK's calls."""


def describe_argument_error(error: "ArgumentError") -> str:
    """Return the message of an ArgumentError with the option or argument that the user typed."""
    for argument in sorted(AS_TYPED, key=len, reverse=True):
        rest = error.argument.removeprefix(argument)
        if error.argument.startswith(argument) and not rest[:1].isalnum() and not rest.startswith("_"):
            # Options that are given several times hold one value each.
            place = re.sub(r"^\[\d+\]", "", rest)
            return f"{AS_TYPED[argument]}{place}{str(error).removeprefix(error.argument)}"
    return str(error)


def _client(address: str | None) -> "DatasetClient":
    from factory_pipeline.sdk.client import DatasetClient

    return DatasetClient(address)


def _tell(client: "DatasetClient", made: "Created", as_json: bool) -> None:
    version = client.describe_version(made.version_id)
    if as_json:
        echo_json({**version.model_dump(), "division": made.division.as_json()})
    else:
        echo(f"Dataset  {made.dataset_id}")
        echo_block(version)
        if made.division.had_split:
            echo(f"Split    {made.division}")


def _tell_factory(address: str | None) -> None:
    """Say on standard error whose listing this is."""
    from factory_pipeline.storage.layout import FactoryHome

    echo(f"Factory: {address or FactoryHome.from_environment().root}", err=True)


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the SDK's calls that the options say."""
    if options["no_annotations"] and options["operations"]:
        raise click.UsageError("--no-annotations and --operation exclude each other.")
    if options["collection"] is not None and options["item_type"] != "image":
        raise click.UsageError("--item-type is for the whole lake; of one --collection, images are chosen.")
    wanted = {
        "annotation_types": list(options["annotation_types"]) or None,
        "from_date": options["from_date"],
        "to_date": options["to_date"],
        "bbox": _numbers(options["bbox"]),
    }
    operations = list(options["operations"]) or None
    return {
        "split_info": _percentages(options["split"]),
        "labels": list(options["labels"]),
        "export_types": list(options["exports"]),
        "query": options["query"],
        "filter": {name: value for name, value in wanted.items() if value is not None},
        "operation_list": [] if options["no_annotations"] else operations,
        "augmentation_list": _augmentations(options["augment"]),
    }


def _percentages(text: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(percent) for name, percent in pairs}
    except ValueError:
        raise click.UsageError(
            f"--split is {text!r}; write it like train=60,test=20,validation=20."
        ) from None


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--bbox is {text!r}; write it like 11.2,47.1,11.9,47.8.") from None


def _augmentations(path: Path | None) -> Any:
    """What the file holds; the SDK says whether that is allowed."""
    if path is None:
        return None
    import yaml

    kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if kind == "JSON" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise click.UsageError(f"{path} is no {kind}: {error}.") from None
