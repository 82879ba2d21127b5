"""The options of `factory dataset create` and `update`: how a DatasetRequest is typed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.paths import FILE
from factory_pipeline.splits.names import SPLITS

if TYPE_CHECKING:
    from factory_pipeline.errors import ArgumentError

Command = Callable[..., Any]
DEFAULT_SHARES = "train=60,test=20,validation=20"

# The last name of each is the field of the request or of its filter.
_OPTIONS: list[Callable[[Command], Command]] = [
    click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="L",
        help="A label of the dataset; give it several times, in the order of its classes.  [default: all]",
    ),
    click.option(
        "--split",
        "split_info",
        show_default=DEFAULT_SHARES,
        metavar="P",
        help="Percentages of the items, each from 0 to 100, the sum 100.",
    ),
    click.option(
        "--split-by",
        "split_by",
        metavar="PROPERTY",
        help="Divide by this in place of percentages: time, year, or a property of the items, with --train,"
        " --test and --validation; without these it holds the names of the splits. Items that are too near to"
        " one of another split are left out and named. With --block-m, --split divides the blocks of the"
        " ground, and each gives items to one split alone.",
    ),
    *(
        click.option(
            f"--{split}",
            f"in_{split}",
            multiple=True,
            metavar="VALUE",
            help=f"What is in {split}, for --split-by: a value, or FIRST_DAY/LAST_DAY of time."
            " Give it several times.",
        )
        for split in SPLITS
    ),
    click.option(
        "--overlap",
        "overlap",
        type=click.Choice(["group", "ignore"]),
        default="group",
        show_default=True,
        help="Keep items that overlap in one split, or divide them to exact percentages, which may leak.",
    ),
    click.option(
        "--balance",
        "balance",
        multiple=True,
        metavar="PROPERTY",
        help="Keep the share of this in every split, beside that of labels: collection, year, or a property"
        " of the items, numbers by their quartiles. Give it several times.",
    ),
    click.option(
        "--group-by",
        "group_by",
        multiple=True,
        metavar="PROPERTY",
        help="Keep items with the same value of this in one split, such as granule. Give it several times.",
    ),
    click.option(
        "--block-m",
        "block_m",
        type=float,
        metavar="METRES",
        help="Keep items whose centres are in one square of the ground, of this side, in one split.",
    ),
    click.option(
        "--buffer-m",
        "buffer_m",
        type=float,
        default=0.0,
        show_default=True,
        metavar="METRES",
        help="Count items that are nearer to each other than this as overlapping.",
    ),
    click.option(
        "--require-all-labels",
        "require_all_labels",
        is_flag=True,
        help="Make no version of which a split lacks a label.",
    ),
    click.option(
        "--subset",
        "subset",
        type=click.IntRange(min=1),
        metavar="N",
        help="Draw so many of the items that match.  [default: all]",
    ),
    click.option(
        "--subset-by",
        "subset_by",
        multiple=True,
        metavar="PROPERTY",
        help="Draw the same number for each value of this: label, day, year, tile, collection, or a property"
        " of the items, numbers by their quartiles. Give it several times.",
    ),
    click.option(
        "--subset-cover",
        "subset_cover",
        multiple=True,
        metavar="PROPERTY",
        help="Draw items that are as different as possible in this: bands, or a property of numbers or of"
        " lists of numbers, such as an embedding. Give it several times.",
    ),
    click.option(
        "--subset-seed",
        "subset_seed",
        type=int,
        metavar="S",
        help="Another one draws others.  [default: 42]",
    ),
    click.option(
        "--given-splits",
        "use_given_splits",
        is_flag=True,
        help="Items keep the splits that they came with; --split divides the others.",
    ),
    click.option(
        "--collection",
        "collection_id",
        metavar="NAME",
        help="Take items of this collection only; its name or id.",
    ),
    click.option(
        "--item-type",
        "item_type",
        type=click.Choice(["image", "image_collection", "dataset"]),
        default="image",
        show_default=True,
        help="What the query chooses: images, or all images of collections or datasets.",
    ),
    click.option(
        "--query",
        "query",
        default="",
        metavar="Q",
        help="Condition on items, such as annotation.label=Balloon, or CQL2.  [default: all items]",
    ),
    click.option("--from-date", "from_date", metavar="DATE", help="Items of this day or moment, or later."),
    click.option("--to-date", "to_date", metavar="DATE", help="Items of this day or moment, or earlier."),
    click.option(
        "--bbox",
        "bbox",
        metavar="W,S,E,N",
        help="Items that touch this box: west, south, east, north in degrees.",
    ),
    click.option(
        "--geometry",
        "geometry",
        type=FILE,
        metavar="FILE",
        help="Items that touch this GeoJSON geometry, in degrees.",
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
        "operation_list",
        multiple=True,
        metavar="ID",
        help="Annotations of this operation only; see factory collection list.  [default: all]",
    ),
    click.option("--no-annotations", "no_annotations", is_flag=True, help="Take no annotations at all."),
    click.option(
        "--augment",
        "augmentation_list",
        type=FILE,
        metavar="FILE",
        help="Augmentations of the train split (JSON, YAML); docs/augmentations.md has them.",
    ),
    click.option(
        "--export",
        "export_types",
        multiple=True,
        metavar="FORMAT",
        help="Export the version in this format at once; see download. Give it several times.",
    ),
]

AS_TYPED = {
    "dataset_name": "NAME",
    "dataset_version_id": "VERSION_ID",
    "version_id": "VERSION_ID",
    "other_version_id": "OTHER_VERSION_ID",
    "collection_id": "--collection",
    "split_info": "--split",
    "split_by": "--split-by",
    "split_by.train": "--train",
    "split_by.test": "--test",
    "split_by.validation": "--validation",
    "overlap": "--overlap",
    "balance": "--balance",
    "group_by": "--group-by",
    "block_m": "--block-m",
    "buffer_m": "--buffer-m",
    "require_all_labels": "--require-all-labels",
    "subset.size": "--subset",
    "subset.by": "--subset-by",
    "subset.cover": "--subset-cover",
    "labels": "--label",
    "export_types": "--export",
    "export_type": "EXPORT_TYPE",
    "query": "--query",
    "item_type": "--item-type",
    "filter.annotation_types": "--annotations",
    "filter.from_date": "--from-date",
    "filter.to_date": "--to-date",
    "filter.bbox": "--bbox",
    "filter.geometry": "--geometry",
    "operation_list": "--operation",
    "augmentation_list": "--augment",
    "custom_download_path": "--output",
    "path": "--output",
    "label_coordinates": "--label-coordinates",
}
"""What a user types for the arguments of the SDK's calls."""


def request_options(command: Command) -> Command:
    """Add the options that `create` and `update` share to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `DatasetRequest.of` that the options give."""
    if options["no_annotations"] and options["operation_list"]:
        raise click.UsageError("--no-annotations and --operation exclude each other.")
    filter = {
        "annotation_types": list(options["annotation_types"]),
        "from_date": options["from_date"],
        "to_date": options["to_date"],
        "bbox": _numbers(options["bbox"]),
        "geometry": _read_mapping(options["geometry"]),
    }
    arguments = {
        "collection_id": options["collection_id"],
        "item_type": options["item_type"],
        "split_info": _percentages(options),
        "split_by": _split_by(options),
        "overlap": options["overlap"],
        "balance": list(options["balance"]),
        "group_by": list(options["group_by"]),
        "block_m": options["block_m"],
        "buffer_m": options["buffer_m"],
        "require_all_labels": options["require_all_labels"],
        "use_given_splits": options["use_given_splits"],
        "subset": _subset(options),
        "labels": list(options["labels"]),
        "export_types": list(options["export_types"]),
        "query": options["query"],
        "filter": {name: value for name, value in filter.items() if value is not None},
        "operation_list": [] if options["no_annotations"] else list(options["operation_list"]) or None,
        "augmentation_list": _read_mapping(options["augmentation_list"]),
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _subset(options: dict[str, Any]) -> dict[str, Any] | None:
    asked = {
        "by": list(options["subset_by"]),
        "cover": list(options["subset_cover"]),
        "seed": options["subset_seed"],
    }
    asked = {name: value for name, value in asked.items() if value not in ([], None)}
    if options["subset"] is None:
        if asked:
            raise click.UsageError(f"--subset-{next(iter(asked))} needs --subset N, the number of items.")
        return None
    return {"size": options["subset"], **asked}


def describe_argument_error(error: "ArgumentError") -> str:
    """Return the message of an ArgumentError with the option or argument that the user typed."""
    for argument in sorted(AS_TYPED, key=len, reverse=True):
        rest = error.argument.removeprefix(argument)
        if error.argument.startswith(argument) and not rest[:1].isalnum() and not rest.startswith("_"):
            # Options that are given several times hold one value each.
            position = re.sub(r"^\[\d+\]", "", rest)
            return f"{AS_TYPED[argument]}{position}{str(error).removeprefix(error.argument)}"
    return str(error)


def _percentages(options: dict[str, Any]) -> dict[str, float]:
    text = options["split_info"]
    if text is None:
        if options["split_by"] is not None and options["block_m"] is None:
            return {}
        text = DEFAULT_SHARES
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(percent) for name, percent in pairs}
    except ValueError:
        raise click.UsageError(
            f"--split is {text!r}; write it like train=60,test=20,validation=20."
        ) from None


def _split_by(options: dict[str, Any]) -> dict[str, Any] | None:
    """Return what decides the splits in place of percentages."""
    name = options["split_by"]
    parts = {split: list(values) for split in SPLITS if (values := options[f"in_{split}"])}
    if name is None:
        if parts:
            raise click.UsageError(f"--{next(iter(parts))} needs --split-by PROPERTY, or --split-by time.")
        return None
    if name != "time":
        return {"by": "column" if parts else "given", "column": name, **parts}
    spans = {split: values[0].split("/") for split, values in parts.items()}
    for split, span in spans.items():
        if len(parts[split]) != 1 or len(span) != 2:
            raise click.UsageError(
                f"--{split} of --split-by time is one span, such as 2020-01-01/2020-12-31."
            )
    return {"by": "time", **spans}


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--bbox is {text!r}; write it like 11.2,47.1,11.9,47.8.") from None


def _read_mapping(path: Path | None) -> Any:
    """Return what a file of JSON or YAML contains; the request says whether that is allowed."""
    if path is None:
        return None
    from factory_pipeline.errors import DocumentError
    from factory_pipeline.json_document import read_json
    from factory_pipeline.yaml_document import read_yaml

    read = read_json if path.suffix.lower() in (".json", ".geojson") else read_yaml
    try:
        return read(path, str(path))
    except DocumentError as error:
        raise click.UsageError(str(error)) from None
