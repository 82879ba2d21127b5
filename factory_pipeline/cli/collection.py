"""Commands of `factory collection`: what the data lake contains, and annotations for it."""

import json
from contextlib import closing
from pathlib import Path

import click

from factory_pipeline.cli.dataset import echo_factory, open_client
from factory_pipeline.cli.help import FullHelpGroup
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import confirm, echo, echo_block


@click.group("collection", cls=FullHelpGroup)
def collection_group() -> None:
    """Collections of the data lake: what dataset versions are made of."""


@collection_group.command("list")
@click.option("--address", metavar="URL", help="A Dagster web server; without it, this machine's factory.")
@json_option
def collections(address: str | None, as_json: bool) -> None:
    """List the collections of the data lake with their annotation sources."""
    found = open_client(address).list_collections()
    if as_json:
        echo_json(found)
        return
    echo_factory(address)
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
@click.option(
    "--label-map",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The label of each value of masks (JSON, YAML).",
)
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
    from factory_pipeline.datalake.ingest.annotate import AnnotationFormat
    from factory_pipeline.datalake.ingest.annotate import annotate as add
    from factory_pipeline.datalake.registry.of_home import open_registry
    from factory_pipeline.datalake.registry.records import AnnotationSource
    from factory_pipeline.datasets.versions.find import find_collection
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
    from factory_pipeline.datalake.ingest.delete import delete_collection as remove
    from factory_pipeline.datalake.registry.of_home import open_registry
    from factory_pipeline.datasets.versions.find import find_collection
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
