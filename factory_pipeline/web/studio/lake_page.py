"""The data lake: items of all collections by a query, on a map and as pictures; a dataset made of them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
import polars as pl
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from factory_pipeline.config.lenient_keys import as_list
from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.queryables import PROPERTIES
from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX
from factory_pipeline.datasets.augment.config import CATEGORY, OPERATIONS
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.request import DatasetRequest, Overlap
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.describe import list_collections
from factory_pipeline.datasets.versions.plan import check_version
from factory_pipeline.errors import ArgumentError, FactoryError
from factory_pipeline.onboarding.page.charts import FootprintMap, corner_map
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.web.studio.add.answers import number, shown
from factory_pipeline.web.studio.augmentations import augmentation_of, names_of_copies
from factory_pipeline.web.studio.context import Studio, go_to, read_form, render, studio_of
from factory_pipeline.web.studio.pictures import collection_of, draw_media, kept_picture, media_of
from factory_pipeline.web.studio.tasks import Task, tasks_of

ITEMS_PER_PAGE = 48
MOST_MAPPED = 1500
SIDE = 200
SHOWN = ("id", "collection", "datetime", "split", "bbox", "width", "height")
DEFAULT_SHARES = {"train": 60, "test": 20, "validation": 20}


@dataclass(frozen=True)
class Asked:
    """What a person looks for in the lake."""

    query: str = ""
    collection: str = ""
    """Id; empty for all."""
    from_date: str = ""
    to_date: str = ""
    page: int = 1

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "Asked":
        """Read the fields of a form or of an address."""
        page = fields.get("page", "1")
        return cls(
            fields.get("q", "").strip()[:5000],
            fields.get("collection", ""),
            fields.get("from_date", ""),
            fields.get("to_date", ""),
            int(page) if page.isascii() and page.isdigit() and len(page) < 9 else 1,
        )

    @property
    def filter(self) -> dict[str, str]:
        """The conditions beside the query, as the SDK takes them."""
        dates = {"from_date": self.from_date, "to_date": self.to_date}
        return {key: value for key, value in dates.items() if value}

    def address(self, page: int) -> str:
        """Return the address of a page of the same items."""
        fields = {"q": self.query, "collection": self.collection, **self.filter, "page": str(page)}
        return "/lake?" + urlencode({key: value for key, value in fields.items() if value})


@dataclass(frozen=True)
class Found:
    """Items that match."""

    items: pl.DataFrame
    """Those of the page, in SHOWN and `collection_id`."""
    total: int
    map: FootprintMap | None


def find_items(studio: Studio, asked: Asked) -> Found:
    """Return the items that match, those of one page with what is shown of them.

    Args:
        studio: its data lake.
        asked: query, filter and page.

    Raises:
        ArgumentError: the query or the filter is not allowed.
        LakeError: a table is missing.
    """
    parts = [
        matching.select(*SHOWN, collection_id=pl.lit(collection)).collect(engine="streaming")
        for collection, matching in _matching(studio, asked)
    ]
    if not parts:
        return Found(pl.DataFrame(), 0, None)
    every = pl.concat(parts)
    first = (min(asked.page, max(-(-every.height // ITEMS_PER_PAGE), 1)) - 1) * ITEMS_PER_PAGE
    return Found(every.slice(first, ITEMS_PER_PAGE), every.height, _map(every))


def count(request: Request) -> Response:
    """Answer the page while a query is typed: how many items match, or why the query is not allowed."""
    studio, asked = studio_of(request), Asked.of(request.query_params)
    try:
        counts = [
            matching.select(pl.len()).collect(engine="streaming").item()
            for _, matching in _matching(studio, asked)
        ]
    except FactoryError as wrong:
        return render(request, "lake_count.html", refused=str(wrong), total=None)
    return render(request, "lake_count.html", refused="", total=sum(counts))


def _matching(studio: Studio, asked: Asked) -> Iterator[tuple[str, pl.LazyFrame]]:
    """Yield the id of each collection that is asked for and the items of it that match."""
    for collection in studio.registry.collections():
        if asked.collection in ("", collection.id):
            tables = CollectionTables.of(studio.registry, studio.home, collection)
            yield collection.id, matching_items(tables.items, tables.annotations(), asked.query, asked.filter)


def _map(items: pl.DataFrame) -> FootprintMap | None:
    """Draw where the items are; of very many, evenly spread ones."""
    step = max(items.height // MOST_MAPPED, 1)
    some = items.gather_every(step)
    edges = some["bbox"].struct.unnest().cast(pl.Float64).fill_null(float("nan"))
    west, south, east, north = (edges[name].to_numpy() for name in ("xmin", "ymin", "xmax", "ymax"))
    corners = np.stack(
        [np.stack(pair, axis=-1) for pair in ((west, north), (east, north), (east, south), (west, south))],
        axis=1,
    )
    named = some.select(pl.col("id").alias("original_name"), pl.col("split").fill_null("train"))
    return corner_map(corners, named)


def show(request: Request) -> Response:
    """Show the items that match the query of the address."""
    return _page(request, Asked.of(request.query_params), {})


async def create(request: Request) -> Response:
    """Make a dataset of the items that match."""
    form = await read_form(request)
    return await run_in_threadpool(_create, request, form)


def _create(request: Request, form: Mapping[str, list[str]]) -> Response:
    fields = {key: values[0] for key, values in form.items()}
    studio, asked = studio_of(request), Asked.of(fields)
    try:
        wanted = request_of(form, asked)
        check_version(studio.registry, studio.home, wanted)
    except FactoryError as error:
        return _page(request, asked, form, str(error))

    def work(task: Task) -> str:
        made = studio.client(task.progress).make_version(wanted)
        return f"/versions/{made.version_id}"

    task = tasks_of(request).start(f"Creating {wanted.dataset_name}", work)
    return go_to(request, f"/tasks/{task.id}")


def request_of(form: Mapping[str, list[str]], asked: Asked) -> DatasetRequest:
    """Return what a form asks for, as the SDK's calls have it.

    Args:
        form: as sent.
        asked: query and filter.

    Raises:
        ArgumentError: something is not allowed.
    """
    shares = {split: number(form.get(split, [""])[0]) for split in SPLITS}
    augmentations = [augmentation_of(one) for one in form.get("augmentations", []) if one in OPERATIONS]
    arguments: dict[str, Any] = {
        "dataset_name": form.get("dataset_name", [""])[0].strip(),
        "split_info": shares,
        "labels": form.get("labels", []),
        "export_types": form.get("export_types", []),
        "query": asked.query,
        "filter": asked.filter,
        "overlap": form.get("overlap", [Overlap.GROUP.value])[0],
    }
    for name in ("balance", "group_by"):
        arguments[name] = as_list(form.get(name, [""])[0])
    for name in ("block_m", "buffer_m"):
        if text := form.get(name, [""])[0].strip():
            arguments[name] = number(text)
    if subset := _subset(form):
        arguments["subset"] = subset
    if split_by := _split_by(form):
        arguments["split_by"] = split_by
        if "block_m" not in arguments:
            arguments["split_info"] = {}
    if asked.collection:
        arguments["collection_id"] = asked.collection
    if augmentations:
        arguments["augmentation_list"] = {CATEGORY: augmentations}
    return DatasetRequest.of(**arguments)


def _split_by(form: Mapping[str, list[str]]) -> dict[str, Any]:
    """What the form says of time or a property that decides the splits; empty where percentages do."""
    name = form.get("split_by", [""])[0].strip()
    parts = {split: as_list(text) for split in SPLITS if (text := form.get(f"in_{split}", [""])[0].strip())}
    if not name:
        if parts:
            raise ArgumentError("split_by", "", "it must name what decides, such as time or year")
        return {}
    if name == "time":
        return {
            "by": "time",
            **{split: [*map(str.strip, text[0].split("/"))] for split, text in parts.items()},
        }
    return {"by": "column" if parts else "given", "column": name, **parts}


def _subset(form: Mapping[str, list[str]]) -> dict[str, Any]:
    """What the form says of a part of the images; empty without a size."""
    size = form.get("subset_size", [""])[0].strip()
    if not size:
        return {}
    parts = {key: as_list(form.get(f"subset_{key}", [""])[0]) for key in ("by", "cover")}
    return {
        "size": number(size),
        **{key: part for key, part in parts.items() if part},
    }


def _page(request: Request, asked: Asked, form: Mapping[str, list[str]], error: str = "") -> Response:
    studio = studio_of(request)
    collections = list_collections(studio.registry, studio.home)
    found, refused = Found(pl.DataFrame(), 0, None), ""
    try:
        found = find_items(studio, asked)
    except FactoryError as wrong:
        refused = str(wrong)
    labels: dict[str, int] = {}
    for collection in collections:
        if asked.collection in ("", collection.id):
            for operation in collection.operations:
                for label, count in operation.labels.items():
                    labels[label] = labels.get(label, 0) + count
    pages = max(-(-found.total // ITEMS_PER_PAGE), 1)
    number = min(asked.page, pages)
    return render(
        request,
        "lake.html",
        422 if error or refused else 200,
        asked=asked,
        form=shown(form),
        error=error,
        refused=refused,
        collections=collections,
        items=list(found.items.iter_rows(named=True)),
        total=found.total,
        map=found.map,
        counts=[],
        labels=labels,
        hints=_hints(studio, labels),
        properties=PROPERTIES,
        page=number,
        pages=pages,
        before=asked.address(number - 1) if number > 1 else "",
        after=asked.address(number + 1) if number < pages else "",
        shares={split: form.get(split, [DEFAULT_SHARES[split]])[0] for split in SPLITS},
        formats=list(FORMATS),
        augmentations=_augmentations(studio, found),
    )


def _augmentations(studio: Studio, found: Found) -> dict[str, list[str]]:
    """Return the names of the copies that each augmentation makes of the first item of the page."""
    if not found.total:
        return {}
    item, collection_id = found.items.row(0, named=True)["id"], found.items["collection_id"][0]
    media = media_of(studio, studio.registry.collection(collection_id), item)
    has_rgb = bool(media and media[0]["rgb"])
    return {operation: names_of_copies(operation, has_rgb) for operation in OPERATIONS}


def _hints(studio: Studio, labels: Mapping[str, int]) -> Sequence[str]:
    """Return conditions that the query can be completed with."""
    names: set[str] = set()
    for collection in studio.registry.collections():
        tables = CollectionTables.of(studio.registry, studio.home, collection)
        names.update(name for name in tables.items.collect_schema() if name.startswith(METADATA_PREFIX))
    quoted = [label if label.isidentifier() else f"'{label}'" for label in labels]
    return [
        *(f"annotation.label={label}" for label in quoted),
        *(f"split={split}" for split in SPLITS),
        *(f"{name}=" for name in sorted(names)),
    ]


def item_picture(request: Request) -> Response:
    """Serve the first raster of an item."""
    studio, item = studio_of(request), request.query_params.get("id", "")
    collection = collection_of(studio, request.path_params["collection"])

    def draw() -> bytes:
        return draw_media(studio.home, media_of(studio, collection, item)[0], SIDE)

    digest = hashlib.sha256(item.encode("utf-8", "replace")).hexdigest()[:24]
    return kept_picture(studio, f"item-{collection.id}-{digest}", draw)


ROUTES = [
    Route("/lake", show),
    Route("/lake/count", count),
    Route("/lake/create", create, methods=["POST"]),
    Route("/lake/pictures/{collection}", item_picture),
]
