"""The annotations of a version's items: of the chosen operations and labels, each said once.

What is drawn over what is decided by their order: human annotations come before those of machines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, SOURCED_ANNOTATION, AnnotationType
from factory_pipeline.datasets.versions.collection_tables import CollectionTables, operation_order
from factory_pipeline.datasets.versions.find import listed, nearest_first
from factory_pipeline.datasets.versions.manifest import raster_alone
from factory_pipeline.datasets.versions.request import VersionRequest
from factory_pipeline.errors import ArgumentError

RAW_ALONE = ["raw"]
"""The filter by annotation types that chooses images without annotations alone."""
_SAID = [name for name in ANNOTATION_SCHEMA if name not in ("item", "raster")]
_FIELDS = [field.name for field in SOURCED_ANNOTATION.fields]


@dataclass(frozen=True)
class AnnotationChoice:
    """Where the annotations of a version come from."""

    request: VersionRequest
    collections: Mapping[str, CollectionTables]
    """By id."""
    members: pl.DataFrame
    """As in `selection.Selection`."""
    source: pl.LazyFrame | None = None
    """The manifest of the version that is updated."""
    source_labels: tuple[str, ...] = ()
    """The labels of that."""

    def check_labels(self) -> None:
        """See that every label is there, and that measured values are of one label.

        Raises:
            ArgumentError: no annotation of the items has a label, or two labels have measured values.
            LakeError: a table is missing.
        """
        labels = self.request.labels
        there = self._labels()
        if self.request.operation_list != () and not self._is_raw:
            _validate(labels, sorted(there["label"].unique()))
        measured = there.filter(pl.col("type") == AnnotationType.RASTER, pl.col("label").is_in(labels))
        if measured.height > 1:
            named = listed(map(repr, sorted(measured["label"])))
            raise ArgumentError(
                "labels", list(labels), f"{named} are measured values each; a version has those of one"
            )

    def all_labels(self) -> tuple[str, ...]:
        """All labels of the chosen annotations, by name.

        Raises:
            ArgumentError: there are none.
            LakeError: a table is missing.
        """
        there = () if self.request.operation_list == () or self._is_raw else self._labels()["label"].unique()
        if not len(there):
            raise ArgumentError(
                "labels",
                [],
                "that means all, but the chosen items have no annotations: name the labels",
            )
        return tuple(sorted(there))

    def of(self, items: pl.DataFrame) -> pl.DataFrame:
        """The annotations of some items of the version: `name`, `annotations`, none for one without any.

        Args:
            items: `name`, `collection`, `id`.
        """
        named = items.select("name", as_collection="collection", as_id="id")
        members = self.members.join(named, on=["as_collection", "as_id"])
        parts = [*self._from_operations(members), *self._from_source(members)]
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

    def _from_operations(self, members: pl.DataFrame) -> list[pl.DataFrame]:
        """Annotations as they are in the lake now."""
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
            # An item that is not chosen anew keeps what it has; only labels that are new to it are added.
            wanted = wanted.filter(pl.col("is_new") | pl.col("label").is_in(added))
            parts.append(wanted.select("name", "place", *_FIELDS).collect(engine="streaming"))
        return parts

    def _from_source(self, members: pl.DataFrame) -> list[pl.DataFrame]:
        """Annotations that items of the source version keep."""
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
        """`label` and `type` of all annotations of the items in the chosen operations, once each."""
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

    @property
    def _is_raw(self) -> bool:
        """Whether only images without annotations are asked for."""
        return (self.request.filter or {}).get("annotation_types") == RAW_ALONE

    @cached_property
    def _ranks(self) -> dict[str, int]:
        """The turn of each operation."""
        operations = [operation for each in self.collections.values() for operation in each.operations]
        return {operation.id: turn for turn, operation in enumerate(sorted(operations, key=operation_order))}


def _validate(labels: Sequence[str], known: Sequence[str]) -> None:
    for place, label in enumerate(labels):
        if label not in known:
            has = "they have none, so give operation_list=[] for images alone"
            if known:
                has = f"they have {listed(map(repr, nearest_first(label, known)))}"
            raise ArgumentError(
                f"labels[{place}]", label, f"no chosen annotation of the items has this label; {has}"
            )
