"""The SDK's calls that extend versions of datasets."""

from collections.abc import Mapping, Sequence
from typing import Any

from factory_pipeline.sdk.backend import Created
from factory_pipeline.sdk.version_calls import VersionCalls


class UpdateCalls(VersionCalls):
    """Makes new versions and revisions of datasets."""

    def update_dataset_version_from_collection(
        self,
        dataset_version_id: str,
        collection_id: str | None,
        split_info: Mapping[str, float],
        labels: Sequence[str],
        export_types: Sequence[str] = [],
        query: str | Mapping[str, Any] = "",
        filter: Mapping[str, Any] = {},
        is_new_version_required: bool = False,
        operation_list: Sequence[str] | None = None,
        augmentation_list: Mapping[str, Any] | None = None,
        keep_splits: bool = True,
        overlap: str = "group",
        balance: Sequence[str] = [],
        group_by: Sequence[str] = [],
        block_m: float | None = None,
        buffer_m: float = 0.0,
        require_all_labels: bool = False,
        subset: Mapping[str, Any] | None = None,
        split_by: Mapping[str, Any] | None = None,
    ) -> Created:
        """Extend a version by items of a collection; the result is its next revision, or a new version.

        Args:
            dataset_version_id: the source version: its id or at least the first 8 digits of it,
                `name@1.0.0`, or the dataset's name for its latest version. Example: `"balloons@1.0.0"`.
            collection_id: name or id of the collection that items are taken from; None takes items of the
                collections that the source version has items of. Example: `"rivers"`.
            split_info: percentages of `train`, `test` and `validation`: all three keys, each from 0 to 100,
                the sum 100. Example: `{"train": 60, "test": 20, "validation": 20}`.
            labels: labels of the dataset, in the order of its classes; annotations with other labels are
                left out. An empty list takes all labels. Example: `["Land", "Water"]`.
            export_types: formats in which the version is exported at once; allowed are those of
                `list_export_types()`. The default exports none. Example: `["COCO", "HDF5"]`.
            query: condition on items, in the short form or as CQL2 (text, or JSON as a mapping). The
                default, an empty text, takes all items. Example: `"annotation.label=Balloon"`.
            filter: further conditions on items; all must hold. Keys, each optional: `annotation_types` (a
                list of `"raw"`, `"human"`, `"machine"`; an item must fit one), `from_date` and `to_date` (a
                day or a moment, both included), `bbox` (west, south, east, north in degrees), `geometry`
                (GeoJSON in degrees). The default is no condition. Example: `{"from_date": "2024-05-01",
                "bbox": [5.9, 45.8, 10.5, 47.8]}`.
            is_new_version_required: True makes a new version (1.0.4 becomes 1.1.0), False, the default, a
                revision (1.0.4 becomes 1.0.5).
            operation_list: ids of the annotation sources whose annotations are taken; `list_collections`
                lists them. None, the default, takes all, an empty list none. Example: `["3f2a9c10"]`.
            augmentation_list: augmentations of the train split; docs/augmentations.md lists the allowed ids
                and values. None, the default, makes no augmented copies. Example: `{"IMAGE_LEVEL": [{"id":
                "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]}]}`.
            keep_splits: True, the default, keeps each item of the source version in its split; False
                assigns all splits again.
            overlap: `"group"` (the default) keeps items that overlap, or have the same pixels, in one split,
                with every label at its share as far as that goes; `"ignore"` divides them like others, to
                the exact percentages. Either way the result says how much leaks. Example: `"ignore"`.
            balance: what keeps its share in every split beside the labels: `"collection"`, `"year"`, or names
                of properties of the items, numbers by their quartiles. The default is nothing more. Example:
                `["year", "platform"]`.
            group_by: names of properties, as in `balance`; items with the same value of one are in one
                split, such as all of a granule or a region. The default is none. Example: `["granule"]`.
            block_m: side in metres of squares of the ground; items whose centres are in one square are in one
                split. None, the default, has no squares. Example: `10000`.
            buffer_m: items nearer to each other than this count as overlapping, in metres; so items of
                different splits are at least so far apart. The default is 0. Example: `640`.
            require_all_labels: True refuses a version of which a split lacks a label, with the label and the
                number of places that it occurs in. False, the default, makes it and says so.
            subset: draws some of the items that match; None, the default, takes all. Keys: `size`; `by`, a
                list of `"label"` (the rarest of an item), `"day"`, `"year"`, `"tile"` (100 km squares),
                `"collection"` or properties, of which each value gets the same number of items; or `cover`, a
                list of `"bands"` or properties (numbers, or lists such as an embedding), in which the items
                are as different as possible; `seed` (42). Example: `{"size": 500, "by": ["label", "day"]}`.
            split_by: time or a property decides the split of an item; `split_info` is then empty, `{}`. Keys:
                `by`: `"time"`, `"column"`, or `"given"` for a property that holds the names of the splits;
                `column`, the property (also `"year"`, `"day"`, `"collection"`); `train`, `test` and
                `validation`: first and last day, or values of the property. Items that are too near to one of
                another split are left out, and named in `splits.json`; `overlap="ignore"` keeps them, which
                leaks. With `block_m`, `split_info` divides the blocks, and a block gives items to one split
                alone. None, the default, divides by percentages. Example: `{"by": "column", "column": "year",
                "train": [2019, 2020], "test": [2021]}`.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, how many items of a source version kept their split, how many are left out, and
            whether the splits leak (`leaking_share`, `notes`).

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            shares = {"train": 60, "test": 20, "validation": 20}
            client.update_dataset_version_from_collection("balloons@1.0.0", "lakes", shares, [])
        """
        within: dict[str, Any] = (
            {"within_source": True} if collection_id is None else {"collection_id": collection_id}
        )
        return self._make(
            **within,
            dataset_version_id=dataset_version_id,
            split_info=split_info,
            labels=labels,
            export_types=export_types,
            query=query,
            filter=filter,
            is_new_version_required=is_new_version_required,
            operation_list=operation_list,
            augmentation_list=augmentation_list,
            keep_splits=keep_splits,
            overlap=overlap,
            balance=balance,
            group_by=group_by,
            block_m=block_m,
            buffer_m=buffer_m,
            require_all_labels=require_all_labels,
            subset=subset,
            split_by=split_by,
        )

    def update_dataset_version_from_datalake(
        self,
        dataset_version_id: str,
        split_info: Mapping[str, float],
        labels: Sequence[str],
        export_types: Sequence[str] = [],
        item_type: str = "image",
        query: str | Mapping[str, Any] = "",
        filter: Mapping[str, Any] = {},
        is_new_version_required: bool = False,
        operation_list: Sequence[str] | None = None,
        augmentation_list: Mapping[str, Any] | None = None,
        keep_splits: bool = True,
        overlap: str = "group",
        balance: Sequence[str] = [],
        group_by: Sequence[str] = [],
        block_m: float | None = None,
        buffer_m: float = 0.0,
        require_all_labels: bool = False,
        subset: Mapping[str, Any] | None = None,
        split_by: Mapping[str, Any] | None = None,
    ) -> Created:
        """Extend a version by items of all collections; the result is its next revision, or a new version.

        Args:
            dataset_version_id: the source version: its id or at least the first 8 digits of it,
                `name@1.0.0`, or the dataset's name for its latest version. Example: `"balloons@1.0.0"`.
            split_info: percentages of `train`, `test` and `validation`: all three keys, each from 0 to 100,
                the sum 100. Example: `{"train": 60, "test": 20, "validation": 20}`.
            labels: labels of the dataset, in the order of its classes; annotations with other labels are
                left out. An empty list takes all labels. Example: `["Land", "Water"]`.
            export_types: formats in which the version is exported at once; allowed are those of
                `list_export_types()`. The default exports none. Example: `["COCO", "HDF5"]`.
            item_type: what the query chooses: `"image"` (the default) takes the images that match,
                `"image_collection"` all images of the collections with an image that matches, `"dataset"`
                all images of the latest version of each dataset with an image that matches there. Example:
                `"image_collection"`.
            query: condition on items, in the short form or as CQL2 (text, or JSON as a mapping). The
                default, an empty text, takes all items. Example: `"annotation.label=Balloon"`.
            filter: further conditions on items; all must hold. Keys, each optional: `annotation_types` (a
                list of `"raw"`, `"human"`, `"machine"`; an item must fit one), `from_date` and `to_date` (a
                day or a moment, both included), `bbox` (west, south, east, north in degrees), `geometry`
                (GeoJSON in degrees). The default is no condition. Example: `{"from_date": "2024-05-01",
                "bbox": [5.9, 45.8, 10.5, 47.8]}`.
            is_new_version_required: True makes a new version (1.0.4 becomes 1.1.0), False, the default, a
                revision (1.0.4 becomes 1.0.5).
            operation_list: ids of the annotation sources whose annotations are taken; `list_collections`
                lists them. None, the default, takes all, an empty list none. Example: `["3f2a9c10"]`.
            augmentation_list: augmentations of the train split; docs/augmentations.md lists the allowed ids
                and values. None, the default, makes no augmented copies. Example: `{"IMAGE_LEVEL": [{"id":
                "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]}]}`.
            keep_splits: True, the default, keeps each item of the source version in its split; False
                assigns all splits again.
            overlap: `"group"` (the default) keeps items that overlap, or have the same pixels, in one split,
                with every label at its share as far as that goes; `"ignore"` divides them like others, to
                the exact percentages. Either way the result says how much leaks. Example: `"ignore"`.
            balance: what keeps its share in every split beside the labels: `"collection"`, `"year"`, or names
                of properties of the items, numbers by their quartiles. The default is nothing more. Example:
                `["year", "platform"]`.
            group_by: names of properties, as in `balance`; items with the same value of one are in one
                split, such as all of a granule or a region. The default is none. Example: `["granule"]`.
            block_m: side in metres of squares of the ground; items whose centres are in one square are in one
                split. None, the default, has no squares. Example: `10000`.
            buffer_m: items nearer to each other than this count as overlapping, in metres; so items of
                different splits are at least so far apart. The default is 0. Example: `640`.
            require_all_labels: True refuses a version of which a split lacks a label, with the label and the
                number of places that it occurs in. False, the default, makes it and says so.
            subset: draws some of the items that match; None, the default, takes all. Keys: `size`; `by`, a
                list of `"label"` (the rarest of an item), `"day"`, `"year"`, `"tile"` (100 km squares),
                `"collection"` or properties, of which each value gets the same number of items; or `cover`, a
                list of `"bands"` or properties (numbers, or lists such as an embedding), in which the items
                are as different as possible; `seed` (42). Example: `{"size": 500, "by": ["label", "day"]}`.
            split_by: time or a property decides the split of an item; `split_info` is then empty, `{}`. Keys:
                `by`: `"time"`, `"column"`, or `"given"` for a property that holds the names of the splits;
                `column`, the property (also `"year"`, `"day"`, `"collection"`); `train`, `test` and
                `validation`: first and last day, or values of the property. Items that are too near to one of
                another split are left out, and named in `splits.json`; `overlap="ignore"` keeps them, which
                leaks. With `block_m`, `split_info` divides the blocks, and a block gives items to one split
                alone. None, the default, divides by percentages. Example: `{"by": "column", "column": "year",
                "train": [2019, 2020], "test": [2021]}`.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, how many items of a source version kept their split, how many are left out, and
            whether the splits leak (`leaking_share`, `notes`).

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            shares = {"train": 60, "test": 20, "validation": 20}
            client.update_dataset_version_from_datalake("water@1.0.0", shares, labels=[])
        """
        return self._make(
            dataset_version_id=dataset_version_id,
            item_type=item_type,
            split_info=split_info,
            labels=labels,
            export_types=export_types,
            query=query,
            filter=filter,
            is_new_version_required=is_new_version_required,
            operation_list=operation_list,
            augmentation_list=augmentation_list,
            keep_splits=keep_splits,
            overlap=overlap,
            balance=balance,
            group_by=group_by,
            block_m=block_m,
            buffer_m=buffer_m,
            require_all_labels=require_all_labels,
            subset=subset,
            split_by=split_by,
        )
