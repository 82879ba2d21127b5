"""The check of every asset with splits: no items of different splits share ground or content."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

SPLIT_CHECK = "splits_share_no_ground"
"""Its name, whatever the asset."""


def split_check_severity(promises_zero: bool) -> dg.AssetCheckSeverity:
    """Return an error only where the rule promises that nothing leaks; else a leak is worth knowing."""
    return dg.AssetCheckSeverity.ERROR if promises_zero else dg.AssetCheckSeverity.WARN


def split_check_result(
    record: Mapping[str, Any], asset_key: dg.AssetKey | None = None
) -> dg.AssetCheckResult:
    """Return what a `splits.json` says, as a check.

    Args:
        record: as `read_record` returns it.
        asset_key: of the asset, where the check does not follow from it.
    """
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=SPLIT_CHECK,
        passed=not record["crossing_pairs"],
        severity=split_check_severity(record["promises_zero"]),
        description=" ".join(record["sentences"]),
        metadata={"splits.json": dg.MetadataValue.json(record)},
    )
