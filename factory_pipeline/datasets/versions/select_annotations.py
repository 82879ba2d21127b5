"""The annotations of a version's items: of the chosen operations and labels, without duplicates.

Their order decides which covers another: human annotations come before those of machines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, SOURCED_ANNOTATION, AnnotationType
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.collection_tables import CollectionTables, operation_order
from factory_pipeline.datasets.versions.find import listed, sort_by_similarity
from factory_pipeline.datasets.versions.manifest import raster_alone
from factory_pipeline.errors import ArgumentError

RAW_ALONE = ["raw"]
"""The filter by annotation types that chooses only images without annotations."""
_SAID = [name for name in ANNOTATION_SCHEMA if name not in ("item", "raster")]
_FIELDS = [field.name for field in SOURCED_ANNOTATION.fields]


@dataclass(frozen=True)
class AnnotationChoice:
    """The choice of a version's annotations."""

    request: DatasetRequest
    collections: Mapping[str, CollectionTables]
    """By id."""
    members: pl.DataFrame
    """As in `select_items.ItemSelection`."""
    source: pl.LazyFrame | None = None
    """The manifest of the version that is updated."""
    source_labels: tuple[str, ...] = ()
    """The labels of the version that is updated."""

    def check_labels(self) -> None:
        """Check that every label exists, and that measured values have one label.

        Raises:
            ArgumentError: no annotation of the items has a label, or two labels have measured values.
            LakeError: a table is missing.
        """
        labels = self.request.labels
        there = self._labels()
        if self.request.operation_list != [] and not self._is_raw:
            _validate(labels, sorted({*there["label"], *self._classes()}))
        measured = there.filter(pl.col("type") == AnnotationType.RASTER, pl.col("label").is_in(labels))
        if measured.height > 1:
            named = listed(map(repr, sorted(measured["label"])))
            raise ArgumentError(
                "labels", list(labels), f"{named} are measured values each; a version can have those of one"
            )

    def all_labels(self) -> list[str]:
        """Return all labels of the chosen annotations, and classes without any that are kept, by name.

        Raises:
            ArgumentError: there are none.
            LakeError: a table is missing.
        """
        has_none = self.request.operation_list == [] or self._is_raw
        there = set() if has_none else {*self._labels()["label"], *self._classes()}
        if not there:
            raise ArgumentError(
                "labels",
                [],
                "empty means all, but the chosen items have no annotations: list the labels",
            )
        return sorted(there)

    def labels_of(self, items: pl.DataFrame) -> pl.Series:
        """Return the chosen labels of each item of the version, as lists, null for an item without one.

        Args:
            items: `collection`, `id`.

        Raises:
            LakeError: a table is missing.
        """
        of_item = {"as_collection": pl.String(), "as_id": pl.String(), "label": pl.String()}
        parts = [pl.DataFrame(schema=of_item)]
        for (collection_id,), there in self.members.partition_by("collection", as_dict=True).items():
            annotations = self.collections[str(collection_id)].annotations(self.request.operation_list)
            if annotations is not None:
                named = there.lazy().select("as_collection", "as_id", item="id")
                found = annotations.filter(pl.col("label").is_in(self.request.labels)).join(named, on="item")
                parts.append(found.select(*of_item).unique().collect(engine="streaming"))
        labels = pl.concat(parts).group_by("as_collection", "as_id").agg(pl.col("label").unique())
        return items.join(
            labels,
            left_on=["collection", "id"],
            right_on=["as_collection", "as_id"],
            how="left",
            maintain_order="left",
        )["label"]

    def of(self, items: pl.DataFrame) -> pl.DataFrame:
        """Return the annotations of some items of the version: `name`, `annotations`, a list per item.

        Args:
            items: `name`, `collection`, `id`.
        """
        named = items.select("name", as_collection="collection", as_id="id")
        members = self.members.join(named, on=["as_collection", "as_id"])
        parts = [*self._select_from_operations(members), *self._select_from_source(members)]
        if not parts:
            return pl.DataFrame(schema={"name": pl.String(), "annotations": pl.List(SOURCED_ANNOTATION)})
        rows = pl.concat(parts).with_columns(
            rank=pl.col("operation").replace_strict(self._ranks, return_dtype=pl.Int64),
            raster_said=raster_alone(pl.col("raster"), "value", "nodata", "sha256"),
        )
        rows = rows.sort("name", "rank", "place", "label").unique(
            ["name", *_SAID, "raster_said"], keep="first", maintain_order=True
        )
        return rows.group_by("name", maintain_order=True).agg(pl.struct(_FIELDS).alias("annotations"))

    def _select_from_operations(self, members: pl.DataFrame) -> list[pl.DataFrame]:
        """Return annotations as they are in the data lake now."""
        request = self.request
        added = [label for label in request.labels if label not in self.source_labels]
        parts = []
        for (collection_id,), there in members.partition_by("collection", as_dict=True).items():
            annotations = self.collections[str(collection_id)].annotations(request.operation_list)
            if annotations is None:
                continue
            wanted = annotations.filter(pl.col("label").is_in(request.labels)).join(
                there.lazy().select("name", "is_new", item="id"), on="item"
            )
            # An item that is not chosen again keeps its annotations; only those of new labels are added.
            wanted = wanted.filter(pl.col("is_new") | pl.col("label").is_in(added))
            parts.append(wanted.select("name", "place", *_FIELDS).collect(engine="streaming"))
        return parts

    def _select_from_source(self, members: pl.DataFrame) -> list[pl.DataFrame]:
        """Return annotations that items of the source version keep."""
        kept = members.filter(~pl.col("is_new")).select("collection", "id", as_name="name")
        if self.source is None or kept.is_empty():
            return []
        annotations = (
            self.source.select("collection", "id", "annotations")
            .join(kept.lazy(), on=["collection", "id"])
            .select(pl.col("as_name").alias("name"), "annotations")
            .collect(engine="streaming")
            .explode("annotations", empty_as_null=False)
            .with_row_index("place")
            .unnest("annotations")
        )
        return [
            annotations.filter(pl.col("label").is_in(self.request.labels)).select("name", "place", *_FIELDS)
        ]

    def _labels(self) -> pl.DataFrame:
        """Return `label` and `type` of all annotations of the items in the chosen operations, once each."""
        kinds = {"label": pl.String(), "type": pl.String()}
        parts = [pl.DataFrame(schema=kinds)]
        for (collection_id,), there in self.members.partition_by("collection", as_dict=True).items():
            annotations = self.collections[str(collection_id)].annotations(self.request.operation_list)
            if annotations is not None:
                of_items = annotations.join(there.lazy().select(item="id"), on="item", how="semi")
                parts.append(of_items.select(*kinds).unique().collect(engine="streaming"))
        if self.source is not None:
            annotations = self.source.select(
                pl.col("annotations").explode(empty_as_null=False).struct.unnest()
            )
            parts.append(annotations.select(*kinds).unique().collect(engine="streaming"))
        return pl.concat(parts).unique()

    def _classes(self) -> set[str]:
        """Return the classes that the chosen operations were made with, and those of the source version."""
        operations = self.request.operation_list
        found = {name for each in self.collections.values() for name in each.classes(operations)}
        return found | {*self.source_labels}

    @property
    def _is_raw(self) -> bool:
        """Whether only images without annotations are requested."""
        return self.request.filter.get("annotation_types") == RAW_ALONE

    @cached_property
    def _ranks(self) -> dict[str, int]:
        """The position of each operation in the order."""
        operations = [operation for each in self.collections.values() for operation in each.operations]
        return {operation.id: turn for turn, operation in enumerate(sorted(operations, key=operation_order))}


def _validate(labels: Sequence[str], known: Sequence[str]) -> None:
    for index, label in enumerate(labels):
        if label not in known:
            has = "they have none, so use operation_list=[] for images without labels"
            if known:
                has = f"they have {listed(map(repr, sort_by_similarity(label, known)))}"
            raise ArgumentError(
                f"labels[{index}]", label, f"no chosen annotation of the items has this label; {has}"
            )
