"""The results of checks of the batch files of a run."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from factory_pipeline.hdf5.verify import Finding


def results_of_batches(
    asset: dg.AssetKey, checks: Iterable[str], findings: Mapping[str, Sequence[Finding]]
) -> list[dg.AssetCheckResult]:
    """Return one result for each check; it fails if that of any batch did, and describes these.

    Args:
        asset: that is checked.
        checks: their names; a check that no finding is of passes.
        findings: by the key of the batch.
    """
    failed: dict[str, dict[str, str]] = {name: {} for name in checks}
    for batch, found in findings.items():
        for finding in found:
            if not finding.passed:
                failed[finding.name][batch] = finding.detail
    return [
        dg.AssetCheckResult(
            asset_key=asset,
            check_name=name,
            passed=not details,
            description=" ".join(f"The file of batch {batch}: {detail}" for batch, detail in details.items())
            or None,
            metadata={"batches": len(findings), "failed": len(details)},
        )
        for name, details in failed.items()
    ]
